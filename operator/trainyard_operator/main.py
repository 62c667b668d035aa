"""The composition root: settings, then the parts, then run until told to stop."""

import asyncio
import gc
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path

from trainyard_api.names import MANAGED_BY, MANAGED_BY_LABEL
from trainyard_operator.cluster.cached import Cache, CachedCluster, Feed
from trainyard_operator.cluster.client import KubernetesCluster
from trainyard_operator.cluster.errors import ApiError, NotFound
from trainyard_operator.cluster.kinds import (
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    JOB,
    NETWORK_POLICY,
    POD,
    QUOTA,
    SERVICE,
    TRAINING_JOB,
    Kind,
)
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.cluster.reflector import Reflector
from trainyard_operator.cluster.store import Store
from trainyard_operator.page.access import Access
from trainyard_operator.page.histories import Histories
from trainyard_operator.page.server import Page
from trainyard_operator.runtime.backoff import Backoff
from trainyard_operator.runtime.health import Health, LoopLag
from trainyard_operator.runtime.http import application, serve
from trainyard_operator.runtime.leadership import Leadership
from trainyard_operator.runtime.logs import configure
from trainyard_operator.runtime.metrics import Metrics
from trainyard_operator.runtime.pod_client import PodHttp
from trainyard_operator.runtime.poller import Poller
from trainyard_operator.runtime.queue import WorkQueue
from trainyard_operator.runtime.resync import Resync
from trainyard_operator.runtime.router import Router, owners_of
from trainyard_operator.runtime.workers import Workers
from trainyard_operator.serving.analyst import CanaryAnalyst
from trainyard_operator.serving.checks import CheckResult
from trainyard_operator.serving.model_status import ModelReadiness
from trainyard_operator.serving.model_status_reader import GrpcModelStatusReader, PolledModelStatus, Served
from trainyard_operator.serving.optional_children import OPTIONAL_KINDS
from trainyard_operator.serving.pod import FetchImages
from trainyard_operator.serving.reconcile import ModelServiceReconciler
from trainyard_operator.serving.revision_reader import Checked, GrpcSignatureReader, HttpCheckReader, PolledRevisions
from trainyard_operator.serving.server_metrics import ServerMetrics
from trainyard_operator.serving.server_metrics_reader import (
    HttpServerMetricsReader,
    PolledServerMetrics,
    ScrapedServer,
)
from trainyard_operator.serving.signatures import ModelSignatures
from trainyard_operator.settings import Settings, load
from trainyard_operator.training.metrics import TrainingMetrics
from trainyard_operator.training.pod import TrainerImages
from trainyard_operator.training.progress import Snapshot
from trainyard_operator.training.progress_reader import HttpProgressReader, PolledProgress, Trainer, TrainerReader
from trainyard_operator.training.reconcile import TrainingJobReconciler
from trainyard_operator.watchers import PARENTS, Watches
from trainyard_operator.workloads.report import DeliveredEvents
from trainyard_operator.workloads.text import clean

logger = logging.getLogger(__name__)

_CHILDREN = (JOB, DEPLOYMENT, POD, SERVICE, CONFIG_MAP, NETWORK_POLICY, *(optional.kind for optional in OPTIONAL_KINDS))
WATCHED: Mapping[Kind, Mapping[str, str]] = {kind: {MANAGED_BY_LABEL: MANAGED_BY} for kind in _CHILDREN} | {
    CLAIM: {},
    QUOTA: {},
}
"""What is watched beside our own resources, by its labels: children, and the claims and quotas that pods wait for."""
_OPTIONAL = frozenset(optional.kind for optional in OPTIONAL_KINDS if optional.comes_with)
"""Kinds that not every cluster has."""
_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_RECHECK_SECONDS = 15.0
"""Most seconds between two questions to a model server that does not serve its model yet."""
_LOADED_SECONDS = 60.0
"""Seconds between two questions to a model server whether it still has its model."""
_PROVED_SECONDS = 3600.0
"""Seconds until a pod is asked again that has answered as it should: what it serves does not change."""
_SCRAPE_SECONDS = 5.0
"""Seconds between two questions to a model server for its metrics, while a canary is judged."""
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
    namespaces: Sequence[str | None] = settings.namespace_list or (None,)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            KubernetesCluster(
                timeout=settings.request_timeout, patience=settings.reconcile_deadline / 2, observe=metrics.requested
            )
        )
        stores = {(kind, namespace): Store() for kind in PARENTS for namespace in namespaces}
        resync = Resync(
            cluster=server,
            stores=stores,
            router=router,
            queue=queue,
            backoff=backoff,
            metrics=metrics,
            period=settings.resync_interval,
            spread=settings.resync_interval / 10,
        )
        watches = Watches(
            stores=stores,
            router=router,
            resync=resync,
            namespaces=namespaces,
            request_timeout=settings.request_timeout,
        )
        reflectors = [
            Reflector(
                server,
                kind,
                namespace,
                labels,
                on_change=lambda _, change: router.child(change.manifest),
                on_relist=resync.soon,
                optional=kind in _OPTIONAL,
            )
            for kind, labels in WATCHED.items()
            for namespace in namespaces
        ]
        _measure(metrics, watches, reflectors)
        leadership = _candidate(settings, server, metrics) if settings.leader_election == "on" else None
        cluster = CachedCluster(
            server,
            _cache(watches, reflectors),
            on_write=lambda child: _progressed(backoff, child),
            before_write=leadership.check if leadership else lambda: None,
        )
        pods = await stack.enter_async_context(PodHttp())
        trainers: Poller[Trainer, Snapshot] = Poller(
            TrainerReader(HttpProgressReader(pods), server).ask,
            queue.add,
            interval=settings.progress_interval,
            retry=2 * settings.progress_interval,
        )
        servers: Poller[Served, ModelReadiness] = Poller(
            GrpcModelStatusReader().ask,
            queue.add,
            interval=_RECHECK_SECONDS,
            retry=1.0,
            longest=_RECHECK_SECONDS,
            is_answer=lambda answer: answer.available,
        )
        # For as long as a service is looked at from time to time, at a rate that a thousand of them can bear.
        loaded: Poller[Served, ModelReadiness] = Poller(
            GrpcModelStatusReader().ask,
            queue.add,
            interval=_LOADED_SECONDS,
            retry=_LOADED_SECONDS,
            longest=5 * _LOADED_SECONDS,
            is_answer=lambda answer: answer.reached,
            forgotten=2 * settings.resync_interval,
        )
        checked: Poller[Checked, CheckResult] = Poller(
            HttpCheckReader(pods).ask,
            queue.add,
            interval=_PROVED_SECONDS,
            retry=1.0,
            longest=_RECHECK_SECONDS,
            is_answer=lambda result: result.passed,
        )
        described: Poller[Served, ModelSignatures] = Poller(
            GrpcSignatureReader().ask,
            queue.add,
            interval=_PROVED_SECONDS,
            retry=1.0,
            longest=_RECHECK_SECONDS,
            is_answer=lambda answer: not answer.problem,
        )
        # Numbers change with each request: reconciles come for them when they need them.
        scraped: Poller[ScrapedServer, ServerMetrics] = Poller(
            HttpServerMetricsReader(pods).ask, lambda _: None, interval=_SCRAPE_SECONDS, retry=_SCRAPE_SECONDS
        )
        workers = Workers(
            queue=queue,
            reconcilers={
                "TrainingJob": TrainingJobReconciler(
                    cluster=cluster,
                    progress=PolledProgress(trainers),
                    trainer_images=TrainerImages(cpu=settings.trainer_image, cuda=settings.trainer_gpu_image),
                    network_policies=settings.network_policies == "on",
                    delivered=delivered,
                    metrics=TrainingMetrics(metrics.registry),
                    namespaces=tuple(namespaces),
                ),
                "ModelService": ModelServiceReconciler(
                    cluster=cluster,
                    model_status=PolledModelStatus(servers),
                    served_status=PolledModelStatus(loaded),
                    revisions=PolledRevisions(checked, described),
                    fetch_images=FetchImages(volume=settings.operator_image, store=settings.trainer_image),
                    analyst=CanaryAnalyst(PolledServerMetrics(scraped)),
                    drain=timedelta(seconds=settings.drain),
                    observe=metrics.services.observe,
                    operator_namespace=own_namespace(),
                    delivered=delivered,
                ),
            },
            metrics=metrics,
            backoff=backoff,
            deadline=settings.reconcile_deadline,
            expected=(ApiError,),
        )
        health = Health(
            live=[
                lambda: (
                    None if workers.running in (None, settings.workers) else f"{workers.running} workers are running"
                ),
                lambda: "a reconcile hangs" if workers.longest_running() > 2 * settings.reconcile_deadline else None,
                lag.check,
            ],
            ready=[resync.check, watches.check],
            notes=lambda: [
                *([leadership.note()] if leadership else []),
                *watches.notes(),
                *(f"{reflector}: {reflector.problem}" for reflector in reflectors if reflector.problem),
            ],
        )
        endpoint = await serve(application(metrics, health), settings.host, settings.port)
        stack.push_async_callback(endpoint.close)
        logger.info("Serving metrics and probes on port %s", endpoint.port)
        histories = Histories()
        if settings.page_port:
            # Whoever does not lead shows the page too: it takes nothing but what is watched.
            page = Page(cluster, server, Access(server), histories, tuple(namespaces))
            shown = await serve(page.application(), settings.host, settings.page_port)
            stack.push_async_callback(shown.close)
            logger.info("Serving the page on port %s", shown.port)
        asyncio.get_running_loop().call_later(_WARM_UP, _freeze)

        async def work() -> None:
            # Another operator may have written and told since this one led last, and what it had begun was broken off.
            delivered.complete.clear()
            resync.everything()
            await workers.run(settings.workers)

        parts = [
            asyncio.create_task(_work(work, leadership, reflectors), name="workers"),
            asyncio.create_task(resync.run(), name="resync"),
            asyncio.create_task(lag.run(), name="loop lag"),
            asyncio.create_task(trainers.run(), name="poller of trainers"),
            asyncio.create_task(servers.run(), name="poller of model servers"),
            asyncio.create_task(loaded.run(), name="poller of model servers in use"),
            asyncio.create_task(checked.run(), name="poller of golden requests"),
            asyncio.create_task(described.run(), name="poller of signatures"),
            asyncio.create_task(scraped.run(), name="poller of model servers' metrics"),
            *(
                [asyncio.create_task(histories.follow(partial(_all, watches, TRAINING_JOB)), name="curves of the page")]
                if settings.page_port
                else []
            ),
            *(asyncio.create_task(reflector.run(), name=f"watch of {reflector}") for reflector in reflectors),
        ]
        return await _supervise(asyncio.create_task(watches.run(), name="watches"), parts)


def own_namespace(file: Path = _OWN_NAMESPACE) -> str | None:
    """Return the namespace that the operator runs in; None outside of a cluster."""
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


async def _work(
    work: Callable[[], Awaitable[None]], leadership: Leadership | None, reflectors: Sequence[Reflector]
) -> None:
    """Work once all children are known, and only as long as this operator leads where several elect one.

    Of a namespace that cannot be watched children are read as they are needed.
    """
    await asyncio.gather(*(reflector.tried.wait() for reflector in reflectors))
    await (leadership.run(work) if leadership else work())


def _candidate(settings: Settings, server: KubernetesCluster, metrics: Metrics) -> Leadership:
    namespace = settings.lease_namespace or own_namespace()
    if namespace is None:
        raise ApiError("leader election needs a namespace for its Lease: outside a pod, set lease_namespace")
    # A container that is started anew in the same pod is another candidate.
    identity = f"{socket.gethostname()}_{secrets.token_hex(4)}"
    leadership = Leadership(server, namespace, settings.lease_name, identity, settings.lease_duration)
    metrics.elects(settings.lease_name, lambda: leadership.leads)
    return leadership


def _cache(watches: Watches, reflectors: Sequence[Reflector]) -> Cache:
    feeds = {
        (kind, namespace): Feed(store, {}, partial(watches.is_watched, namespace))
        for (kind, namespace), store in watches.stores.items()
    }
    for reflector in reflectors:
        feeds[reflector.kind, reflector.namespace] = Feed(reflector.store, reflector.labels, reflector.is_reliable)
    return Cache(feeds)


def _all(watches: Watches, kind: Kind) -> list[Manifest]:
    return [
        manifest
        for (of, namespace), store in watches.stores.items()
        if of is kind
        for manifest in store.select(namespace, {})
    ]


def _measure(metrics: Metrics, watches: Watches, reflectors: Sequence[Reflector]) -> None:
    for kind, namespace in watches.stores:
        metrics.watches(kind.plural, namespace, partial(watches.is_watched, namespace))
    for reflector in reflectors:
        metrics.watches(reflector.kind.plural, reflector.namespace, reflector.is_reliable)


def _progressed(backoff: Backoff, child: Manifest) -> None:
    """Who gets on starts over with a short delay, should something go wrong further on."""
    for key in owners_of(child):
        backoff.forget(key)


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
    configure(settings.log_level, settings.log_format, clean)
    try:
        return asyncio.run(run(settings))
    except (ApiError, OSError) as error:
        logger.critical("The operator could not start: %s", error)
        return 1
    except KeyboardInterrupt:
        return 130
