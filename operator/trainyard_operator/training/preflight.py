"""Whether what a training needs is there, asked before a pod waits for it without saying so.

What is missing for certain keeps the training from starting. What may come by itself, such as a node with GPUs that an
autoscaler brings, is only said. Nothing is called missing that the operator may not see: it reads no Secrets, and one
that serves some namespaces only sees neither nodes nor classes of the cluster.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from trainyard_api.pods import PodTemplate
from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.cluster.errors import Forbidden, NotFound
from trainyard_operator.cluster.kinds import (
    CLAIM,
    CONFIG_MAP,
    PRIORITY_CLASS,
    QUOTA,
    RUNTIME_CLASS,
    SERVICE_ACCOUNT,
    Kind,
)
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.training.placement import GPU_PRODUCT_LABEL
from trainyard_operator.training.volumes import claim_names, sees_data
from trainyard_operator.workloads.blockers import STORE_NOT_FOUND, Blocker
from trainyard_operator.workloads.nodes import NodeOffers, Wanted, unmet
from trainyard_operator.workloads.pod import references, resources
from trainyard_operator.workloads.quotas import demand, shortage, total
from trainyard_operator.workloads.text import clean

DATA_NOT_FOUND = "DataNotFound"
CODE_NOT_FOUND = "CodeNotFound"
CONFIG_MAP_NOT_FOUND = "ConfigMapNotFound"
SERVICE_ACCOUNT_NOT_FOUND = "ServiceAccountNotFound"
PRIORITY_CLASS_NOT_FOUND = "PriorityClassNotFound"
RUNTIME_CLASS_NOT_FOUND = "RuntimeClassNotFound"
CLAIM_NOT_SHARED = "ClaimNotShared"
_WORKER = "spec.roles.worker"
_HOSTNAME = "kubernetes.io/hostname"


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found before any pod exists.

    Attributes:
        blocker: What keeps the training from starting.
        concern: What may keep its pods from running, unless something changes by itself.
    """

    blocker: Blocker | None = None
    concern: Blocker | None = None


@dataclass(frozen=True, slots=True)
class _Reference:
    """An object that the spec names."""

    kind: Kind
    name: str
    field: str
    reason: str
    check: Callable[[Manifest], Blocker | None] = lambda _: None


async def preflight(cluster: Cluster, job: TrainingJob, *, nodes: NodeOffers, now: datetime) -> Preflight:
    """Look at everything that a training needs."""
    for reference in _named(job):
        if blocker := await _missing(cluster, job.metadata["namespace"], reference):
            return Preflight(blocker)
    for reference in _classes(job):
        if blocker := await _unknown(cluster, reference):
            return Preflight(blocker)
    if blocker := await _over_quota(cluster, job):
        return Preflight(blocker)
    concern = await _one_node_only(cluster, job)
    if concern is not None and not concern.transient:
        return Preflight(concern)
    return Preflight(concern=concern or await _no_node(cluster, job, nodes, now))


def _named(job: TrainingJob) -> Iterator[_Reference]:
    """Yield what the spec names in its namespace, each once."""
    store, source, python = job.spec.output.store.persistent_volume_claim, job.spec.data.source, job.spec.program.python
    if store is not None:
        yield _Reference(CLAIM, store.claim_name, "spec.output.store", STORE_NOT_FOUND)
    if python is not None and python.source.config_map is not None:
        yield _Reference(CONFIG_MAP, python.source.config_map.name, "spec.program.python.source", CODE_NOT_FOUND)
    claim = source.persistent_volume_claim
    if claim is not None and (store is None or claim.claim_name != store.claim_name):
        yield _Reference(CLAIM, claim.claim_name, "spec.data.source", DATA_NOT_FOUND)
    for name in sorted({*claim_names(job)} - {each.claim_name for each in (store, claim) if each}):
        yield _Reference(CLAIM, name, "spec.program.predict.model", STORE_NOT_FOUND)
    if (rows := source.config_map) is not None:
        yield _Reference(CONFIG_MAP, rows.name, "spec.data.source", DATA_NOT_FOUND, _has_key(rows.key))
    for path, template in _templates(job):
        for name in sorted({*references(template).config_maps}):
            yield _Reference(CONFIG_MAP, name, f"{path}.env", CONFIG_MAP_NOT_FOUND)
        if (account := template.service_account_name) is not None:
            yield _Reference(SERVICE_ACCOUNT, account, f"{path}.serviceAccountName", SERVICE_ACCOUNT_NOT_FOUND)


def _templates(job: TrainingJob) -> Iterator[tuple[str, PodTemplate]]:
    roles = job.spec.roles
    for role in (roles.lead, *roles.followers):
        yield f"spec.roles.{role}.template", roles.of(role).template


def _classes(job: TrainingJob) -> Iterator[_Reference]:
    """Yield what the spec names in the cluster."""
    for path, template in _templates(job):
        if (name := template.priority_class_name) is not None:
            yield _Reference(PRIORITY_CLASS, name, f"{path}.priorityClassName", PRIORITY_CLASS_NOT_FOUND)
        if (name := template.runtime_class_name) is not None:
            yield _Reference(RUNTIME_CLASS, name, f"{path}.runtimeClassName", RUNTIME_CLASS_NOT_FOUND)


def _has_key(key: str | None) -> Callable[[Manifest], Blocker | None]:
    def check(found: Manifest) -> Blocker | None:
        keys = sorted({**(found.get("data") or {}), **(found.get("binaryData") or {})})
        if key is None or key in keys:
            return None
        metadata = found["metadata"]
        return Blocker(
            DATA_NOT_FOUND,
            f"ConfigMap {metadata['name']!r} in namespace {metadata['namespace']!r} has no key "
            f"{key!r}; it has: {', '.join(keys[:10]) or 'none'}",
        )

    return check


async def _missing(cluster: Cluster, namespace: str, reference: _Reference) -> Blocker | None:
    try:
        return reference.check(await cluster.get(reference.kind, namespace, reference.name))
    except NotFound:
        return Blocker(
            reference.reason,
            f"{reference.kind.name} {reference.name!r} of {reference.field} does not exist in namespace "
            f"{namespace!r}; create it, and the training starts by itself",
        )
    except Forbidden:
        return None  # what cannot be seen is not called missing


async def _unknown(cluster: Cluster, reference: _Reference) -> Blocker | None:
    try:
        names = [found["metadata"]["name"] for found in await cluster.select(reference.kind)]
    except (Forbidden, NotFound):
        return None
    if reference.name in names:
        return None
    return Blocker(
        reference.reason,
        f"{reference.kind.name} {reference.name!r} of {reference.field} does not exist; the cluster has: "
        f"{clean(', '.join(names[:10])) or 'none'}. Once there is one of that name, the training starts by itself",
    )


async def _over_quota(cluster: Cluster, job: TrainingJob) -> Blocker | None:
    roles = job.spec.roles
    wanted = total(
        demand(resources(pods.resources, gpus=pods.gpus, gpu_resource=pods.gpu_resource), count=pods.replicas)
        for pods in map(roles.of, (roles.lead, *roles.followers))
    )
    try:
        quotas = await cluster.select(QUOTA, job.metadata["namespace"])
    except Forbidden:
        return None
    found = shortage(quotas, wanted, path="spec.roles")
    # Its queue knows when there is room.
    queued = job.spec.run_policy.queue_name is not None
    return None if found is not None and found.transient and queued else found


async def _one_node_only(cluster: Cluster, job: TrainingJob) -> Blocker | None:
    """Say that a claim keeps several pods on one node, or even to one pod."""
    store, data = job.spec.output.store.persistent_volume_claim, job.spec.data.source.persistent_volume_claim
    roles = job.spec.roles
    sharing = [roles.of(role).replicas for role in (roles.lead, *roles.followers) if sees_data(job, role)]
    if (replicas := sum(sharing)) == 1:
        return None
    written = {store.claim_name} if store else set[str]()
    for name in sorted(written | ({data.claim_name} if data else set())):
        modes = (await cluster.get(CLAIM, job.metadata["namespace"], name)).get("spec", {}).get("accessModes") or []
        shared = {"ReadWriteMany"} | (set() if name in written else {"ReadOnlyMany"})
        if not modes or shared & set(modes):
            continue
        what = f"PersistentVolumeClaim {name!r} is {' and '.join(sorted(modes))}, and {replicas} pods mount it"
        if modes == ["ReadWriteOncePod"]:
            return Blocker(
                CLAIM_NOT_SHARED,
                f"{what}: use a claim that is ReadWriteMany, a store by uri, or spec.roles.worker.replicas 1",
            )
        if not _stays_together(job.spec.roles.worker.template):
            return Blocker(
                CLAIM_NOT_SHARED,
                f"{what}: they all have to run on one node. Use a claim that is ReadWriteMany, a store by uri, or "
                f"require one node by {_WORKER}.template.affinity.podAffinity",
                transient=True,
            )
    return None


def _stays_together(template: PodTemplate) -> bool:
    affinity = (template.affinity or {}).get("podAffinity")
    terms = (affinity if isinstance(affinity, dict) else {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    return any(isinstance(term, dict) and term.get("topologyKey") == _HOSTNAME for term in terms or [])


async def _no_node(cluster: Cluster, job: TrainingJob, nodes: NodeOffers, now: datetime) -> Blocker | None:
    worker = job.spec.roles.worker
    if not worker.gpus or (seen := await nodes.latest(cluster, now)) is None:
        return None
    product = {GPU_PRODUCT_LABEL: worker.gpu_product} if worker.gpu_product else {}
    usual = {"key": worker.gpu_resource, "operator": "Exists", "effect": "NoSchedule"}
    return unmet(
        seen,
        Wanted(
            path=_WORKER,
            resource=worker.gpu_resource,
            count=worker.gpus,
            node_selector=(worker.template.node_selector or {}) | product,
            tolerations=[*(worker.template.tolerations or []), usual],
        ),
    )
