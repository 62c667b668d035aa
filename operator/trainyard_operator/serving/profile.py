"""What the pods of a revision get from a profile, and what the profile does not allow."""

from dataclasses import replace

from trainyard_api.profile import TrainingProfile
from trainyard_api.server import Server
from trainyard_operator.serving.revision import Revision
from trainyard_operator.workloads.blockers import Blocker
from trainyard_operator.workloads.profiles import PROFILE_LIMIT, filled


def with_profile(revision: Revision, profile: TrainingProfile) -> Revision:
    """Return the revision with the profile's defaults filled in, under its own id: a profile makes no new revision."""
    server, images = revision.server, profile.spec.images
    gpus = server.gpus > 0 or bool(server.template.resource_claims)
    template, resources = filled(server.template, server.resources, profile, gpus=gpus)
    changes: dict[str, object] = {"template": template, "resources": resources}
    image = images.serving_gpu if gpus else images.serving
    if image is not None and server.image == Server.model_fields["image"].default:
        changes["image"] = image
    return replace(revision, server=server.model_copy(update=changes), known_as=revision.id)


def over_limit(revision: Revision, profile: TrainingProfile) -> Blocker | None:
    """Return which limit of the profile the server is beyond."""
    most, gpus = profile.spec.limits.max_gpus, revision.server.gpus
    if most is None or gpus <= most:
        return None
    return Blocker(
        PROFILE_LIMIT,
        f"TrainingProfile {profile.name!r} allows {most} GPUs, and spec.server.gpus is {gpus}: ask for less, or name "
        "another spec.profile",
    )
