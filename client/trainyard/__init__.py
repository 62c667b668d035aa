"""Trainyard for Python and notebooks: train on a DataFrame, watch it learn, serve it, ask it.

>>> from trainyard import Client
>>> client = Client()                                    # doctest: +SKIP
>>> job = client.train("penguins.csv", label="species")  # doctest: +SKIP
>>> service = job.wait(progress=True).deploy()           # doctest: +SKIP
>>> service.predict({"island": "Dream", "bill_length_mm": 39.1})  # doctest: +SKIP
{'label': 'Adelie', 'probabilities': [0.99, 0.01, 0.0]}
"""

from trainyard.aio import AsyncClient
from trainyard.client import Client
from trainyard.errors import (
    ClusterError,
    Conflict,
    Failed,
    Forbidden,
    NotFound,
    Refused,
    TimedOut,
    TrainyardError,
    Unreachable,
    Usage,
)
from trainyard.job import Job
from trainyard.service import Service

__all__ = [
    "AsyncClient",
    "Client",
    "ClusterError",
    "Conflict",
    "Failed",
    "Forbidden",
    "Job",
    "NotFound",
    "Refused",
    "Service",
    "TimedOut",
    "TrainyardError",
    "Unreachable",
    "Usage",
]
