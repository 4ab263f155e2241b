"""A client of Kasane coordinators, for notebooks and scripts.

import kasane

with kasane.Client() as client:
    job = client.submit("job.yaml")
    job.wait()
    weights = job.weights()
"""

from .client import Client
from .errors import KasaneError
from .job import Job
from .records import Check, Epoch, Event, JobList, JobStatus, Metrics, Reason, TestMetrics
from .watch import Watch

__all__ = [
    "Check",
    "Client",
    "Epoch",
    "Event",
    "Job",
    "JobList",
    "JobStatus",
    "KasaneError",
    "Metrics",
    "Reason",
    "TestMetrics",
    "Watch",
]
