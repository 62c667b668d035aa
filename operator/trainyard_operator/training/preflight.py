"""Whether what a training needs is there, asked before a pod waits for it without saying so."""

from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.cluster.errors import NotFound
from trainyard_operator.cluster.kinds import CLAIM, CONFIG_MAP, Kind
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.workloads.blockers import STORE_NOT_FOUND, Blocker

DATA_NOT_FOUND = "DataNotFound"
CODE_NOT_FOUND = "CodeNotFound"


async def missing_input(cluster: Cluster, job: TrainingJob) -> Blocker | None:
    """Return the first thing the TrainingJob names and the namespace does not have."""
    namespace = job.metadata["namespace"]
    volume = job.spec.output.store.persistent_volume_claim
    store = volume.claim_name if volume else None
    if store is not None and await _find(cluster, CLAIM, namespace, store) is None:
        return Blocker(STORE_NOT_FOUND, _absent(CLAIM, store, namespace, "spec.output.store"))
    code = job.spec.program.python.source.config_map if job.spec.program.python else None
    if code is not None and await _find(cluster, CONFIG_MAP, namespace, code.name) is None:
        return Blocker(CODE_NOT_FOUND, _absent(CONFIG_MAP, code.name, namespace, "spec.program.python.source"))
    source = job.spec.data.source
    if source.persistent_volume_claim is not None:
        claim = source.persistent_volume_claim.claim_name
        if claim != store and await _find(cluster, CLAIM, namespace, claim) is None:
            return Blocker(DATA_NOT_FOUND, _absent(CLAIM, claim, namespace, "spec.data.source"))
    if source.config_map is not None:
        found = await _find(cluster, CONFIG_MAP, namespace, source.config_map.name)
        if found is None:
            return Blocker(DATA_NOT_FOUND, _absent(CONFIG_MAP, source.config_map.name, namespace, "spec.data.source"))
        keys = sorted({**(found.get("data") or {}), **(found.get("binaryData") or {})})
        if source.config_map.key is not None and source.config_map.key not in keys:
            return Blocker(
                DATA_NOT_FOUND,
                f"ConfigMap {source.config_map.name!r} in namespace {namespace!r} has no key "
                f"{source.config_map.key!r}; it has: {', '.join(keys[:10]) or 'none'}",
            )
    return None


async def _find(cluster: Cluster, kind: Kind, namespace: str, name: str) -> Manifest | None:
    try:
        return await cluster.get(kind, namespace, name)
    except NotFound:
        return None


def _absent(kind: Kind, name: str, namespace: str, field: str) -> str:
    return (
        f"{kind.name} {name!r} of {field} does not exist in namespace {namespace!r}; create it, "
        "and the training starts by itself"
    )
