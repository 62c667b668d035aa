"""Profiles: which one a resource gets, and what its pods get from that.

A profile is looked at when pods are about to be made: for the Job of an attempt, for the Deployment of a revision. Both
are never built again, so a later change of the profile touches nothing that runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from trainyard_api.names import PROFILE_ANNOTATION
from trainyard_api.pods import PodTemplate, Resources
from trainyard_api.profile import PodDefaults, ProfileStatus, TrainingProfile
from trainyard_operator.cluster.errors import Forbidden, NotFound
from trainyard_operator.cluster.kinds import TRAINING_PROFILE
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.workloads.blockers import Blocker
from trainyard_operator.workloads.text import clean

PROFILE_NOT_FOUND, PROFILE_NOT_READ, PROFILE_LIMIT = "ProfileNotFound", "ProfileNotRead", "ProfileLimit"
_FRESH = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Choice:
    """What came of a look for a profile.

    Attributes:
        blocker: The profile that is named does not exist, or nothing can be made of it.
        concern: It may not be read, so the resource does without.
    """

    profile: TrainingProfile | None = None
    blocker: Blocker | None = None
    concern: Blocker | None = None


@dataclass(slots=True)
class Profiles:
    """The profiles of the cluster as they were at most five seconds ago."""

    seen: Mapping[str, Manifest] | None = None
    at: datetime | None = None

    async def choose(self, cluster: Cluster, name: str | None, now: datetime) -> Choice:
        """Return the profile of that name, or the default one where a resource names none."""
        if self.at is None or not timedelta() <= now - self.at < _FRESH:
            self.seen, self.at = await _list(cluster), now
        return choose(self.seen, name)


async def _list(cluster: Cluster) -> Mapping[str, Manifest] | None:
    try:
        return {found["metadata"]["name"]: found for found in await cluster.select(TRAINING_PROFILE)}
    except (Forbidden, NotFound):
        return None


def choose(profiles: Mapping[str, Manifest] | None, name: str | None) -> Choice:
    """Choose among the profiles; None for those that cannot be seen."""
    if profiles is None:
        if name is None:
            return Choice()
        message = (
            f"TrainingProfile {name!r} of spec.profile is not applied: the operator may not read profiles, because it "
            "serves some namespaces only, or their CRD is not installed"
        )
        return Choice(concern=Blocker(PROFILE_NOT_READ, message, transient=True))
    if name is None:
        name = min((found for found, manifest in profiles.items() if _is_default(manifest)), default=None)
        return Choice() if name is None else _parsed(profiles[name])
    if name not in profiles:
        there = clean(", ".join(sorted(profiles)[:10])) or "none"
        message = f"TrainingProfile {name!r} of spec.profile does not exist; the cluster has: {there}"
        return Choice(blocker=Blocker(PROFILE_NOT_FOUND, message))
    return _parsed(profiles[name])


def _is_default(manifest: Manifest) -> bool:
    return (manifest.get("spec") or {}).get("default") is True


def _parsed(manifest: Manifest) -> Choice:
    try:
        return Choice(TrainingProfile.model_validate(manifest))
    except ValidationError as error:
        name, fault = manifest["metadata"]["name"], error.errors(include_url=False)[0]
        words = clean(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}", 300)
        message = f"nothing can be made of TrainingProfile {name!r}: {words}"
        return Choice(blocker=Blocker(PROFILE_NOT_FOUND, message))


def filled(
    template: PodTemplate, resources: Resources, profile: TrainingProfile, *, gpus: bool
) -> tuple[PodTemplate, Resources]:
    """Return what the spec says of pods, completed by the profile. What the spec sets stays."""
    layers = [profile.spec.gpu_pods, profile.spec.pods] if gpus else [profile.spec.pods]
    for layer in layers:
        template, resources = _over(layer, template), _completed(resources, layer.resources)
    return template, resources


def _over(layer: PodDefaults, own: PodTemplate) -> PodTemplate:
    return own.model_copy(
        update={
            "node_selector": ((layer.node_selector or {}) | (own.node_selector or {})) or None,
            "tolerations": _joined(own.tolerations, layer.tolerations),
            "image_pull_secrets": _joined(own.image_pull_secrets, layer.image_pull_secrets),
            "priority_class_name": own.priority_class_name or layer.priority_class_name,
            "runtime_class_name": own.runtime_class_name or layer.runtime_class_name,
            "scheduler_name": own.scheduler_name or layer.scheduler_name,
        }
    )


def _joined(own: list[Manifest] | None, more: list[Manifest] | None) -> list[Manifest] | None:
    found = own or []
    return [*found, *(one for one in more or [] if one not in found)] or None


def _completed(own: Resources, default: Resources) -> Resources:
    """Fill in amounts of what the spec leaves out: beside its own request or limit, another's might not be valid."""
    said = {*(own.requests or {}), *(own.limits or {})}
    requests = {name: amount for name, amount in (default.requests or {}).items() if name not in said}
    limits = {name: amount for name, amount in (default.limits or {}).items() if name not in said}
    return Resources(requests=requests | (own.requests or {}) or None, limits=limits | (own.limits or {}) or None)


def noted(profile: TrainingProfile) -> dict[str, str]:
    """Return the annotation by which a Job or Deployment tells which profile it was made by."""
    return {PROFILE_ANNOTATION: f"{profile.name}/{profile.metadata.get('generation', 0)}"}


def status_of(child: Manifest | None) -> ProfileStatus | None:
    """Return the profile that a Job or Deployment was made by."""
    text = ((child or {}).get("metadata", {}).get("annotations") or {}).get(PROFILE_ANNOTATION, "")
    name, _, generation = str(text).partition("/")
    if not name or not generation.isascii() or not generation.isdecimal():
        return None
    return ProfileStatus(name=name, generation=int(generation))
