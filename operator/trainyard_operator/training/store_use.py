"""What the operator tells a trainer about its store: who uses what, so that the trainer removes nothing of it.

The document is written before an attempt starts. While one runs that removes versions, the document follows who serves
what, and its time: a trainer removes no version by an old one.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import ValidationError

from trainyard_api.housekeeping import MOST_TRAININGS, REFRESHED, USE_FILE, StoreUse
from trainyard_api.model_uris import VersionUri
from trainyard_api.names import MANAGED_BY, MANAGED_BY_LABEL, MODEL_URI_ANNOTATION
from trainyard_api.rerun import training_id
from trainyard_api.trainingjob import TrainingJob, TrainingJobStatus
from trainyard_operator.cluster.kinds import DEPLOYMENT, MODEL_SERVICE, TRAINING_JOB, Kind
from trainyard_operator.cluster.port import Cluster, Manifest

Namespaces = Sequence[str | None]
"""Those that the operator serves; (None,) for all."""


async def store_use(
    cluster: Cluster, job: TrainingJob, config_map: Manifest | None, *, namespaces: Namespaces, now: datetime
) -> str | None:
    """Return the document for the pods of a training that is about to start, or runs.

    Args:
        config_map: What the pods have now.

    Raises:
        ApiError: something could not be seen; nothing may be concluded from that.
    """
    # A claim is mounted in its own namespace only.
    where = namespaces if job.spec.output.store.uri else (job.metadata["namespace"],)
    jobs = await _all(cluster, TRAINING_JOB, where)
    services, deployments = [], []
    if job.spec.output.keep.versions is not None:
        services = await _all(cluster, MODEL_SERVICE, where)
        deployments = await _all(cluster, DEPLOYMENT, where, labels={MANAGED_BY_LABEL: MANAGED_BY})
    found = use(job, jobs=jobs, services=services, deployments=deployments, now=now)
    return None if found is None else _settled(found, _recorded(config_map)).model_dump_json(by_alias=True)


async def _all(
    cluster: Cluster, kind: Kind, namespaces: Namespaces, labels: dict[str, str] | None = None
) -> list[Manifest]:
    lists = await asyncio.gather(*(cluster.select(kind, namespace, labels=labels) for namespace in namespaces))
    return [manifest for found in lists for manifest in found]


def recorded_text(config_map: Manifest | None) -> str | None:
    """Return the document that the pods have."""
    return ((config_map or {}).get("data") or {}).get(USE_FILE)


def _recorded(config_map: Manifest | None) -> StoreUse | None:
    try:
        return StoreUse.model_validate_json(recorded_text(config_map) or "")
    except ValidationError:
        return None


def _settled(now: StoreUse, before: StoreUse | None) -> StoreUse:
    """Return what was told before where that says the same and is not old: each change is a write."""
    if before is None or now.as_of - before.as_of >= REFRESHED:
        return now
    return before if before.model_copy(update={"as_of": now.as_of}) == now else now


def use(
    job: TrainingJob,
    *,
    jobs: Iterable[Manifest],
    services: Iterable[Manifest],
    deployments: Iterable[Manifest],
    now: datetime,
) -> StoreUse | None:
    """Return who uses what of the model that a TrainingJob makes; None where there are too many to say."""
    place = _place(job.to_wire())
    running, checkpoints, uids, used = [], [], [], []
    for other in jobs:
        uid, status = other["metadata"]["uid"], other.get("status") or {}
        training, phase = training_id(uid, status.get("run") or 0), status.get("phase")
        ended = bool(status.get("completionTime"))
        if not ended:
            used.append(((other["spec"]["program"].get("predict") or {}).get("model") or {}).get("uri"))
        if _place(other) != place:
            continue
        uids.append(uid)
        if not ended:
            running.append(training)
        elif _keeps_checkpoints(other, phase):
            checkpoints.append(training)
    if len(uids) > MOST_TRAININGS:
        return None
    own = job.status or TrainingJobStatus()
    running.append(training_id(job.metadata["uid"], own.run))
    return StoreUse(
        as_of=now,
        in_use=sorted(_in_use(place, services, deployments, used)),
        running=sorted({*running}),
        checkpoints=sorted(checkpoints),
        jobs=sorted({*uids, job.metadata["uid"]}),
    )


def _keeps_checkpoints(job: Manifest, phase: str | None) -> bool:
    kept = (_section(job, "output").get("keep") or {}).get("checkpoints")
    return kept == "Always" or (kept == "OnSuccess" and phase == "Succeeded")


def _in_use(
    place: str | None, services: Iterable[Manifest], deployments: Iterable[Manifest], predicting: Iterable[str | None]
) -> set[int]:
    """Return the versions that services name or have, and those that Deployments were made for, stopped ones too.

    Args:
        predicting: Versions that batch scorings read.
    """
    uris = {*predicting}
    numbers: set[int] = set()
    for service in services:
        model, status = _section(service, "model"), service.get("status") or {}
        uris |= {model.get("uri"), *((status.get(side) or {}).get("uri") for side in ("current", "next"))}
        if isinstance(number := model.get("version"), int):
            numbers.add(number)  # of whichever of its models: one too many does no harm
    for deployment in deployments:
        uris.add((deployment["metadata"].get("annotations") or {}).get(MODEL_URI_ANNOTATION))
    for uri in uris:
        try:
            address = VersionUri.parse(uri or "")
        except ValueError:
            continue
        root = address.store if address.claim is None else f"pvc://{address.claim}"
        if _alike(f"{root}/{address.model}") == place:
            numbers.add(address.version)
    return numbers


def _place(job: Manifest) -> str | None:
    """Return where the versions of a TrainingJob are."""
    store = _section(job, "output").get("store") or {}
    claim = (store.get("persistentVolumeClaim") or {}).get("claimName")
    root = store.get("uri") or (f"pvc://{claim}" if claim else None)
    name = job["spec"].get("modelName") or job["metadata"]["name"]
    return None if root is None else _alike(f"{root.rstrip('/')}/{name}")


def _alike(uri: str) -> str:
    return uri.replace("abfss://", "abfs://", 1)


def _section(manifest: Manifest, name: str) -> Manifest:
    return manifest["spec"].get(name) or {}
