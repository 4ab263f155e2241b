"""A client of a coordinator: submits jobs and finds those that are there."""

import logging
import os
from types import TracebackType

from . import records
from .calls import READING_DEADLINE, Calls
from .errors import KasaneError
from .job import Job
from .job_file import JobSource, job_text
from .records import Check, JobList

_log = logging.getLogger("kasane")

# Jobs that a page of a list has at most.
_MOST_JOBS_PAGE = 200


class Client:
    """Connects at the first call, to a coordinator that allows it. Threads may share a client.

    What is not given comes from the environment, as with the command line: KASANE_COORDINATOR, KASANE_TOKEN or KASANE_TOKEN_FILE,
    KASANE_TLS_CA, KASANE_TLS_CERT and KASANE_TLS_KEY.
    """

    def __init__(
        self,
        address: str | None = None,
        token: str | None = None,
        tls_ca: str | os.PathLike[str] | None = None,
        tls_cert: str | os.PathLike[str] | None = None,
        tls_key: str | os.PathLike[str] | None = None,
    ) -> None:
        """`address`: HOST:PORT, by default 127.0.0.1:7420. `tls_ca`: a file, or "system" for the authorities that gRPC trusts.

        Raises KasaneError USAGE.
        """
        self._calls = Calls(address, token, tls_ca, tls_cert, tls_key)

    def submit(self, job: JobSource, priority: int = 0) -> Job:
        """Queues a job: a dict, or the path of a job file in YAML or JSON.

        The coordinator and its workers read the data. Relative paths in a job file start at its folder, those in a dict at the
        working directory. `priority`: from -1000 to 1000; the highest runs first.

        What is worth knowing of the data, such as a column that seems to number the rows, is logged as a warning (logger kasane).

        Raises KasaneError JOB_INVALID, DATA_INVALID, NO_INPUT, LIMIT, UNREACHABLE, NOT_ALLOWED, SCOPE.
        """
        fields = {"job_file": job_text(job), "priority": priority}
        answer = self._calls.one("Submit", fields, READING_DEADLINE)
        # A coordinator of an earlier version has none.
        for note in getattr(answer, "notes", ()):
            _log.warning(note)
        return self.job(answer.job)

    def check(self, job: JobSource) -> Check:
        """Checks a job and its data as `submit` does, without queueing it, and returns what it would do."""
        return records.check(self._calls.one("Check", {"job_file": job_text(job)}, READING_DEADLINE))

    def job(self, id: str) -> Job:
        """A handle of a job by its ID. Nothing is asked yet."""
        return Job(id, self._calls)

    def jobs(
        self, limit: int | None = None, *, state: str | None = None, tag: str | None = None, sweep: str | None = None
    ) -> JobList:
        """Jobs, newest first: all of them, or at most `limit` of those with this state, this tag, and of this sweep.

        Raises KasaneError USAGE for a state that no job can have.
        """
        if state is not None and state not in records.STATES:
            raise KasaneError("USAGE", f"state {state!r}: expected one of {', '.join(records.STATES)}")
        found = JobList()
        if limit is not None and limit <= 0:
            return found
        # Of those that are filtered here, how many pages it takes is not known.
        size = _MOST_JOBS_PAGE if limit is None or state or tag else min(limit, _MOST_JOBS_PAGE)
        for page in self._calls.pages("List", {"page_size": size, "sweep": sweep or ""}):
            for message in page.jobs:
                job = records.job_status(message)
                if (state is None or job.state == state) and (tag is None or tag in job.tags):
                    found.append(job)
                    if len(found) == limit:
                        return found
        return found

    def close(self) -> None:
        """Ends the connection."""
        self._calls.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<kasane.Client {self._calls.address}>"
