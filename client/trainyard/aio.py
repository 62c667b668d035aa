"""The same for asyncio: each call waits in a thread, and the event loop goes on."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from trainyard.client import Client
from trainyard.job import Job
from trainyard.service import Service


class AsyncJob:
    """A training; what only reads fields is as in `Job`, which is `self.job`."""

    def __init__(self, job: Job) -> None:
        self.job = job

    @property
    def name(self) -> str:
        """Its name."""
        return self.job.name

    @property
    def metrics(self) -> dict[str, float]:
        """Its metrics, as last read."""
        return self.job.metrics

    async def refresh(self) -> "AsyncJob":
        """Read the job anew; returns itself."""
        await asyncio.to_thread(self.job.refresh)
        return self

    async def wait(self, *, timeout: float | None = None) -> "AsyncJob":  # noqa: ASYNC109 - the API server's watch
        """Return once the training has succeeded; raises as `Job.wait`."""
        await asyncio.to_thread(self.job.wait, timeout=timeout)
        return self

    async def history(self) -> Any:
        """Return the metrics of every epoch."""
        return await asyncio.to_thread(lambda: self.job.history)

    async def deploy(self, name: str | None = None, *, replicas: int = 1, wait: bool = True) -> "AsyncService":
        """Serve the model."""
        found = await asyncio.to_thread(self.job.deploy, name, replicas=replicas, wait=wait)
        return AsyncService(found)

    async def suspend(self) -> "AsyncJob":
        """Stop the pods after a checkpoint."""
        await asyncio.to_thread(self.job.suspend)
        return self

    async def resume(self) -> "AsyncJob":
        """Go on from the last checkpoint."""
        await asyncio.to_thread(self.job.resume)
        return self


class AsyncService:
    """A service; what only reads fields is as in `Service`, which is `self.service`."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @property
    def name(self) -> str:
        """Its name."""
        return self.service.name

    async def wait(self, *, timeout: float | None = 600) -> "AsyncService":  # noqa: ASYNC109
        """Return once the model answers; raises as `Service.wait`."""
        await asyncio.to_thread(self.service.wait, timeout=timeout)
        return self

    async def predict(self, rows: Any) -> Any:
        """Return the model's answer to each row."""
        return await asyncio.to_thread(self.service.predict, rows)


class AsyncClient:
    """Trainyard in one namespace, for asyncio; arguments are those of `Client`."""

    def __init__(self, namespace: str | None = None, **options: Any) -> None:
        self.client = Client(namespace, **options)

    async def train(self, data: Any, label: str | None = None, **options: Any) -> AsyncJob:
        """Start a training; options are those of `Client.train`."""
        return AsyncJob(await asyncio.to_thread(self.client.train, data, label, **options))

    async def create(self, manifest: Mapping[str, Any]) -> AsyncJob | AsyncService:
        """Create a TrainingJob or a ModelService from its manifest."""
        found = await asyncio.to_thread(self.client.create, manifest)
        return AsyncJob(found) if isinstance(found, Job) else AsyncService(found)

    async def job(self, name: str) -> AsyncJob:
        """Return a training."""
        return AsyncJob(await asyncio.to_thread(self.client.job, name))

    async def jobs(self, pattern: str = "*") -> Sequence[AsyncJob]:
        """Return the trainings whose names match a pattern."""
        return [AsyncJob(job) for job in await asyncio.to_thread(self.client.jobs, pattern)]

    async def service(self, name: str) -> AsyncService:
        """Return a service."""
        return AsyncService(await asyncio.to_thread(self.client.service, name))
