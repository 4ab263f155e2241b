"""A job of a coordinator: following it, controlling it, and what came of it."""

import hashlib
import os
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from . import plot, records, weights
from .calls import READING_DEADLINE, Calls
from .errors import KasaneError
from .records import Epoch, Event, JobStatus, Metrics
from .watch import Watch


class Job:
    """A handle. Each call raises KasaneError: JOB_NOT_FOUND, JOB_STATE, UNREACHABLE, NOT_ALLOWED, SCOPE."""

    def __init__(self, id: str, calls: Calls) -> None:
        self.id = id
        self._calls = calls
        self._request = {"job": id}

    def get(self) -> JobStatus:
        """The job as it is now."""
        return self._acted("Get")

    def state(self) -> str:
        """queued, running, paused, succeeded, failed or cancelled."""
        return self.get().state

    def watch(self, timeout: float | None = None) -> Watch[JobStatus]:
        """The job now and after each change (at most ten times per second) until it ends; for `for` and `async for`.

        Raises TimeoutError if it has not ended after `timeout` seconds.
        """
        answers = self._calls.many("Watch", self._request, timeout)
        return Watch(answers, lambda message: [records.job_status(message.job)])

    def wait(self, timeout: float | None = None) -> JobStatus:
        """Waits until the job has ended, and returns it. Ctrl-C stops waiting; the job continues.

        Raises KasaneError JOB_FAILED or JOB_CANCELLED unless it succeeded, TimeoutError after `timeout` seconds.
        """
        with self.watch(timeout) as changes:
            for _ in changes:
                pass
        ended = self.get()
        if ended.state == "failed":
            raise KasaneError("JOB_FAILED", f"job {self.id} failed: {ended.error}")
        if ended.state == "cancelled":
            raise KasaneError("JOB_CANCELLED", f"job {self.id} was cancelled")
        return ended

    def history(self) -> list[Epoch]:
        """Every finished epoch, oldest first."""
        pages = self._calls.pages("ListEpochs", self._request)
        return [records.epoch(each) for page in pages for each in page.epochs]

    def metrics(self) -> Metrics:
        """Measurements of a selection of the steps so far."""
        return records.metrics([point for message in self._past("WatchMetrics") for point in message.points])

    def events(self) -> list[Event]:
        """What has happened to the job so far, oldest first."""
        return [records.event(each) for message in self._past("WatchEvents") for each in message.events]

    def watch_events(self) -> Watch[Event]:
        """What has happened to the job, then what happens, until it ends; for `for` and `async for`."""
        answers = self._calls.many("WatchEvents", self._request)
        return Watch(answers, lambda message: [records.event(each) for each in message.events])

    def pause(self) -> JobStatus:
        """Pauses it until it is resumed. Its weights will be the same as without the pause."""
        return self._acted("Pause")

    def resume(self, epochs: int = 0) -> JobStatus:
        """Resumes it where it was paused, or an ended job from its last checkpoint, for `epochs` more epochs."""
        return self._acted("Resume", epochs=epochs)

    def cancel(self) -> JobStatus:
        """Ends it."""
        return self._acted("Cancel")

    def retry(self) -> "Job":
        """Queues the job file of an ended job as a new job, which starts from the beginning."""
        return Job(self._calls.one("Retry", self._request, READING_DEADLINE).job, self._calls)

    def delete(self) -> int:
        """Deletes an ended job with its history and weights, which cannot be undone. Returns the bytes of its files."""
        return int(self._calls.one("Delete", self._request).bytes)

    def set_priority(self, priority: int) -> JobStatus:
        """From -1000 to 1000: while a job with a higher priority can use the workers, it does."""
        return self._acted("SetPriority", priority=priority)

    def weights(self) -> dict[str, NDArray[Any]]:
        """The trained parameters by name, in Kasane's layouts (docs/export.md). Raises KasaneError FILE_DAMAGED."""
        return weights.tensors_of(self._model())

    def download(self, path: str | os.PathLike[str]) -> Path:
        """Writes the weights file (safetensors), whole or not at all. Returns its path. Raises KasaneError CANNOT_WRITE."""
        target = Path(path)
        data = self._model()
        written = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            try:
                written.write_bytes(data)
                written.replace(target)
            finally:
                written.unlink(missing_ok=True)
        except OSError as error:
            raise KasaneError("CANNOT_WRITE", f"{target}: {error.strerror}") from error
        return target

    def plot(self) -> Any:
        """Draws the curves of loss and metric with matplotlib, and returns its two axes. Raises ImportError without it."""
        pyplot = plot.load_pyplot()
        return plot.plot(pyplot, self.get(), self.metrics(), self.history())

    def __repr__(self) -> str:
        return f"<kasane.Job {self.id}>"

    def _repr_html_(self) -> str:
        try:
            return records.table([self.get()])
        except KasaneError as error:
            return escape(f"{self.id}: {error}")

    def _acted(self, method: str, **fields: object) -> JobStatus:
        return records.job_status(self._calls.one(method, {**self._request, **fields}).job)

    def _past(self, method: str) -> Iterator[Any]:
        """The messages of what has been so far; the stream would go on with what happens from now on."""
        answers = self._calls.many(method, self._request)
        try:
            for message in answers:
                yield message
                if not message.more:
                    return
        finally:
            answers.close()

    def _model(self) -> bytes:
        """The weights file, compared with the digest that the coordinator has of it."""
        data = b"".join(piece.data for piece in self._calls.many("DownloadModel", self._request))
        expected, found = self.get().digest, hashlib.sha256(data).hexdigest()
        if found != expected:
            raise KasaneError(
                "FILE_DAMAGED", f"job {self.id}: the weights have the SHA-256 {found}, not {expected}; download them again"
            )
        return data
