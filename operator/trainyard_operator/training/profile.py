"""What a TrainingJob gets from a profile, and what the profile does not allow."""

from trainyard_api.meta import ApiModel, parse_duration
from trainyard_api.profile import TrainingProfile
from trainyard_api.roles import Chief
from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.training.pod import TrainerImages
from trainyard_operator.workloads.blockers import Blocker
from trainyard_operator.workloads.profiles import PROFILE_LIMIT, filled


def with_profile(job: TrainingJob, profile: TrainingProfile) -> TrainingJob:
    """Return the TrainingJob with the profile's defaults for its pods filled in."""
    filled_in: dict[str, ApiModel] = {}
    for role in (job.spec.roles.lead, *job.spec.roles.followers):
        pods = job.spec.roles.of(role)
        gpus = pods.gpus > 0 or bool(pods.template.resource_claims)
        template, resources = filled(pods.template, pods.resources, profile, gpus=gpus)
        own = getattr(job.spec.roles, role) or Chief()
        filled_in[role] = own.model_copy(update={"template": template, "resources": resources})
    roles = job.spec.roles.model_copy(update=filled_in)
    return job.model_copy(update={"spec": job.spec.model_copy(update={"roles": roles})})


def images(own: TrainerImages, profile: TrainingProfile) -> TrainerImages:
    """Return the trainer's images, those of the profile before the operator's."""
    chosen = profile.spec.images
    return TrainerImages(cpu=chosen.trainer or own.cpu, cuda=chosen.trainer_gpu or own.cuda)


def over_limit(job: TrainingJob, profile: TrainingProfile) -> Blocker | None:
    """Return which limit of the profile the TrainingJob is beyond."""
    limits, whose = profile.spec.limits, f"TrainingProfile {profile.name!r} allows"
    gpus, deadline = job.spec.roles.gpus, job.spec.run_policy.active_deadline
    if limits.max_gpus is not None and gpus > limits.max_gpus:
        return Blocker(
            PROFILE_LIMIT,
            f"{whose} {limits.max_gpus} GPUs, and all pods together ask for {gpus}: create the job anew with less in "
            "spec.roles, or with another spec.profile",
        )
    longest = limits.max_active_deadline
    if longest is not None and (deadline is None or parse_duration(deadline) > parse_duration(longest)):
        return Blocker(
            PROFILE_LIMIT,
            f"{whose} trainings of {longest} at most: set spec.runPolicy.activeDeadline to that or less "
            f"(it is {deadline or 'not set'})",
        )
    return None
