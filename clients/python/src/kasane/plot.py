"""Curves of a training, for notebooks."""

from typing import Any

from .records import Epoch, JobStatus, Metrics


def load_pyplot() -> Any:
    """Raises ImportError where matplotlib is not installed."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("Job.plot needs matplotlib: pip install matplotlib") from error
    return pyplot


def plot(pyplot: Any, status: JobStatus, steps: Metrics, history: list[Epoch]) -> Any:
    """Draws loss and metric: of steps in training, of each epoch on the test data. Returns matplotlib's two axes."""
    _, axes = pyplot.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
    ends = [each.epoch * status.steps / status.epochs for each in history]
    curves = (
        (axes[0], "loss", steps.loss, [each.test_loss for each in history]),
        (axes[1], status.metric, steps.metric, [each.test_metric for each in history]),
    )
    for axis, name, train, test in curves:
        axis.plot(steps.step, train, label="training", linewidth=1)
        axis.plot(ends, test, label="test", marker="o", markersize=3)
        axis.set_xlabel("step")
        axis.set_ylabel(name)
        axis.legend()
    axes[0].set_title(status.id)
    return axes
