"""What a coordinator says of a job, as values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

STATES = ("queued", "running", "paused", "succeeded", "failed", "cancelled")
ENDED = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True)
class TestMetrics:
    """Further metrics of a test. Which of them a test has depends on the objective; the others are None."""

    __test__ = False  # pytest would collect it

    precision: float | None
    recall: float | None
    f1: float | None
    top5_accuracy: float | None
    rmse: float | None
    r2: float | None
    perplexity: float | None


@dataclass(frozen=True)
class Epoch:
    """A finished epoch."""

    #: Counted from 1.
    epoch: int
    train_loss: float
    train_metric: float
    test_loss: float
    test_metric: float
    seconds: float
    #: None if an earlier version of Kasane recorded it.
    ended_at: datetime | None
    test_metrics: TestMetrics


@dataclass(frozen=True)
class Reason:
    """Why something is as it is: a code with arguments for programs, a sentence for people."""

    code: str
    args: Mapping[str, Any]
    text: str


@dataclass(frozen=True)
class Event:
    """Something that happened to a job."""

    number: int
    job: str
    time: datetime | None
    code: str
    args: Mapping[str, Any]
    reason: Reason | None
    text: str


@dataclass(frozen=True)
class Check:
    """What a job would do."""

    #: Number of trainable parameters.
    parameters: int
    training_samples: int
    test_samples: int
    steps_per_epoch: int
    steps: int
    #: What is worth knowing of its data and starting weights.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobStatus:
    """A job at one moment."""

    id: str
    name: str
    #: queued, running, paused, succeeded, failed or cancelled.
    state: str
    #: Why the job failed; empty otherwise.
    error: str
    #: What the job is currently waiting for; None while it progresses.
    waiting_for: Reason | None
    submitted_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    #: Epochs and steps completed so far, and in total.
    epoch: int
    epochs: int
    step: int
    steps: int
    #: Mean over the current epoch so far, or over the last one; None while unknown.
    train_loss: float | None
    train_metric: float | None
    samples_per_second: float
    #: The finished epoch with the best test metric.
    best: Epoch | None
    #: Workers whose gradients counted so far.
    workers: int
    #: SHA-256 of the weights file in hex; empty before there is one.
    digest: str
    #: The name of the metric, and what it is: "fraction" (higher is better) or "error" (lower is better).
    metric: str
    metric_kind: str
    priority: int
    #: The sweep that it is a trial of, and its number there; empty and 0 for a job that somebody submitted.
    sweep: str
    trial: int
    description: str
    tags: tuple[str, ...]

    @property
    def ended(self) -> bool:
        """Nothing more happens to it by itself."""
        return self.state in ENDED

    def _repr_html_(self) -> str:
        return table([self])


class JobList(list[JobStatus]):
    """Jobs, newest first; a table in notebooks."""

    def _repr_html_(self) -> str:
        return table(self)


@dataclass(frozen=True, eq=False)
class Metrics:
    """Measurements of steps, as arrays of the same length. `vars(metrics)` is what a data frame takes.

    A coordinator measures at most four steps per second, and keeps a selection of 1000 of a long job.
    """

    #: Counted from 1, ascending, with gaps.
    step: NDArray[np.int64]
    #: When it was completed, in UTC.
    time: NDArray[np.datetime64]
    #: Mean loss and metric of the step's samples.
    loss: NDArray[np.float64]
    metric: NDArray[np.float64]
    learning_rate: NDArray[np.float64]
    #: L2 norm of the whole gradient, as applied.
    gradient_norm: NDArray[np.float64]
    samples_per_second: NDArray[np.float64]
    #: Milliseconds of the whole step, and of its slowest shard's computation.
    step_ms: NDArray[np.float64]
    compute_ms: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.step)


def job_status(message: Any) -> JobStatus:
    """Of a kasane.v1.Job."""
    values = _plain(message, JobStatus)
    return JobStatus(
        **{
            **values,
            "state": _enum(message, "state"),
            "waiting_for": _reason(message.waiting_for) if message.HasField("waiting_for") else None,
            **{name: _moment(values[name]) for name in ("submitted_at", "started_at", "ended_at")},
            "best": epoch(message.best) if message.HasField("best") else None,
            "metric_kind": _enum(message, "metric_kind"),
            "tags": tuple(message.tags),
        }
    )


def epoch(message: Any) -> Epoch:
    """Of a kasane.v1.EpochResult."""
    values = _plain(message, Epoch)
    metrics = TestMetrics(**_plain(message.test_metrics, TestMetrics))
    return Epoch(**{**values, "ended_at": _moment(message.ended_at), "test_metrics": metrics})


def event(message: Any) -> Event:
    """Of a kasane.v1.Event."""
    return Event(
        **{
            **_plain(message, Event),
            "time": _moment(message.time),
            "args": _arguments(message.args),
            "reason": _reason(message.reason) if message.HasField("reason") else None,
        }
    )


def check(message: Any) -> Check:
    """Of a kasane.v1.CheckResponse."""
    values = _plain(message, Check)
    notes = tuple(values.pop("notes") or ())
    return Check(**{name: int(value) for name, value in values.items()}, notes=notes)


def metrics(points: list[Any]) -> Metrics:
    """Of kasane.v1.StepMetrics."""

    def column(name: str, of: type[np.generic] = np.float64) -> NDArray[Any]:
        return np.array([getattr(point, name) for point in points], dtype=of)

    numbers = [each.name for each in fields(Metrics) if each.name not in ("step", "time")]
    return Metrics(
        step=column("step", np.int64),
        time=column("time").astype(np.int64).astype("datetime64[ms]"),
        **{name: column(name) for name in numbers},
    )


def table(jobs: list[JobStatus]) -> str:
    """A small table for notebooks. Names and errors come from others: everything is escaped."""
    head = ("job", "state", "epoch", "step", "train loss", "best test metric", "")
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in _cells(job))}</tr>" for job in jobs)
    return f"<table><thead><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr></thead><tbody>{rows}</tbody></table>"


def _cells(job: JobStatus) -> tuple[str, ...]:
    best = "" if job.best is None else f"{job.metric} {_number(job.best.test_metric, job.metric_kind)}"
    return (
        job.id,
        job.state,
        f"{job.epoch}/{job.epochs}",
        f"{job.step}/{job.steps}",
        "" if job.train_loss is None else f"{job.train_loss:.4g}",
        best,
        job.error or (job.waiting_for.text if job.waiting_for else ""),
    )


def _number(value: float, kind: str) -> str:
    return f"{100 * value:.2f} %" if kind == "fraction" else f"{value:.4g}"


def _plain(message: Any, kind: type) -> dict[str, Any]:
    """The fields of a message that a record has under the same name; optional ones that are not set are None."""
    known = message.DESCRIPTOR.fields_by_name
    values: dict[str, Any] = {}
    for each in fields(kind):
        described = known.get(each.name)
        unset = described is not None and described.has_presence and not message.HasField(each.name)
        # A coordinator of an earlier version does not send everything.
        values[each.name] = None if described is None or unset else getattr(message, each.name)
    return values


def _enum(message: Any, name: str) -> str:
    """JOB_STATE_RUNNING is running; a state that only a newer coordinator has is unknown."""
    described = message.DESCRIPTOR.fields_by_name[name].enum_type
    value = described.values_by_number.get(getattr(message, name))
    prefix = "".join(f"_{c}" if c.isupper() else c for c in described.name).strip("_").upper() + "_"
    text = "unspecified" if value is None else value.name.removeprefix(prefix).lower()
    return "unknown" if text == "unspecified" else text


def _moment(milliseconds: float) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def _reason(message: Any) -> Reason:
    return Reason(message.code, _arguments(message.args), message.text)


def _arguments(text: str) -> Mapping[str, Any]:
    read = json.loads(text) if text else {}
    return read if isinstance(read, dict) else {}
