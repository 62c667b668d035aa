"""The composition root: settings, then the parts, then run until told to stop."""

import asyncio
import gc
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from importlib.metadata import version

from trainyard_operator.cluster.client import KubernetesCluster
from trainyard_operator.cluster.errors import ApiError, NotFound
from trainyard_operator.runtime.backoff import Backoff
from trainyard_operator.runtime.health import Health, LoopLag
from trainyard_operator.runtime.http import application, serve
from trainyard_operator.runtime.logs import configure
from trainyard_operator.runtime.metrics import Metrics
from trainyard_operator.runtime.queue import WorkQueue
from trainyard_operator.runtime.resync import Resync
from trainyard_operator.runtime.router import Router
from trainyard_operator.runtime.workers import Workers
from trainyard_operator.serving.model_status_reader import GrpcModelStatusReader
from trainyard_operator.serving.pod import FetchImages
from trainyard_operator.serving.reconcile import ModelServiceReconciler
from trainyard_operator.settings import Settings, load
from trainyard_operator.training.progress_reader import HttpProgressReader
from trainyard_operator.training.reconcile import TrainingJobReconciler
from trainyard_operator.watchers import PARENTS, watch
from trainyard_operator.workloads.report import DeliveredEvents

logger = logging.getLogger(__name__)

_WARM_UP = 60.0
"""Seconds after which what is in memory is taken to stay."""


async def run(settings: Settings) -> int:
    """Run the operator; return the process's exit code: 0 after a signal, 1 when one of its parts died."""
    metrics = Metrics(version("trainyard-operator"))
    queue = WorkQueue(metrics)
    router = Router(queue, metrics)
    backoff = Backoff()
    delivered = DeliveredEvents(metrics.reported)
    lag = LoopLag(metrics)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(
            KubernetesCluster(timeout=settings.request_timeout, observe=metrics.requested)
        )
        progress = await stack.enter_async_context(HttpProgressReader())
        workers = Workers(
            queue=queue,
            reconcilers={
                "TrainingJob": TrainingJobReconciler(
                    cluster=cluster,
                    progress=progress,
                    trainer_image=settings.trainer_image,
                    progress_interval=settings.progress_interval,
                    delivered=delivered,
                ),
                "ModelService": ModelServiceReconciler(
                    cluster=cluster,
                    model_status=GrpcModelStatusReader(),
                    fetch_images=FetchImages(volume=settings.operator_image, store=settings.trainer_image),
                    drain=timedelta(seconds=settings.drain),
                    delivered=delivered,
                ),
            },
            metrics=metrics,
            backoff=backoff,
            deadline=settings.reconcile_deadline,
            expected=(ApiError,),
        )
        resync = Resync(
            cluster=cluster,
            kinds=PARENTS,
            namespaces=settings.namespace_list or (None,),
            router=router,
            queue=queue,
            backoff=backoff,
            metrics=metrics,
            period=settings.resync_interval,
            spread=settings.resync_interval / 10,
        )
        started = asyncio.Event()
        health = Health(
            live=[
                lambda: None if workers.running == settings.workers else f"{workers.running} workers are running",
                lambda: "a reconcile hangs" if workers.longest_running() > 2 * settings.reconcile_deadline else None,
                lag.check,
            ],
            ready=[resync.check, lambda: None if started.is_set() else "the watches have not started yet"],
        )
        runner = await serve(application(metrics, health), settings.host, settings.port)
        stack.push_async_callback(runner.cleanup)
        logger.info("Serving metrics and probes on port %s", runner.addresses[0][1])
        asyncio.get_running_loop().call_later(_WARM_UP, _freeze)
        # kopf cancels what it finds started after itself, so it comes last.
        parts = [
            asyncio.create_task(workers.run(settings.workers), name="workers"),
            asyncio.create_task(resync.run(), name="resync"),
            asyncio.create_task(lag.run(), name="loop lag"),
        ]
        watches = watch(router, settings.namespace_list, started=started, request_timeout=settings.request_timeout)
        return await _supervise(asyncio.create_task(watches, name="watches"), parts)


async def _supervise(watching: asyncio.Task[None], parts: Sequence[asyncio.Task[None]]) -> int:
    """Wait for the end of the watches, which end on a signal; the end of anything else is a failure."""
    await asyncio.wait([watching, *parts], return_when=asyncio.FIRST_COMPLETED)
    dead = [task for task in (watching, *parts) if task.done() and (task is not watching or task.exception())]
    for task in dead:
        error = task.exception()
        trace = None if isinstance(error, ApiError) else error
        logger.critical("The %s stopped: %s", task.get_name(), explain(error), exc_info=trace)
    for task in (watching, *parts):
        task.cancel()
    await asyncio.gather(watching, *parts, return_exceptions=True)
    return 1 if dead else 0


def explain(error: BaseException | None) -> str:
    """Return why the operator cannot go on, with what to do where that is known."""
    if isinstance(error, NotFound):
        return f"{error} (are the CustomResourceDefinitions in manifests/crds installed?)"
    return str(error)


def _freeze() -> None:
    """Take what survived the start out of the garbage collector's sight: it would walk over it for ever."""
    gc.collect()
    gc.freeze()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator from the command line."""
    settings = load(arguments)
    configure(settings.log_level, settings.log_format)
    try:
        return asyncio.run(run(settings))
    except (ApiError, OSError) as error:
        logger.critical("The operator could not start: %s", error)
        return 1
    except KeyboardInterrupt:
        return 130
