"""What the pods of a ModelService get from a profile: those of revisions to come."""

from typing import Any

from support.profiles import a_profile, put_profile
from support.serving import LABELS, World, a_model_service, a_succeeded_job
from trainyard_api.profile import TrainingProfile
from trainyard_api.server import Server
from trainyard_operator.cluster.kinds import DEPLOYMENT
from trainyard_operator.serving.profile import over_limit, with_profile
from trainyard_operator.serving.revision import Revision
from trainyard_operator.serving.source import ModelVersion

MODEL = ModelVersion("models", "churn", "1")


def profile(**spec: Any) -> TrainingProfile:
    return TrainingProfile.model_validate(a_profile(**spec))


def test_a_profile_fills_in_the_server_and_makes_no_new_revision() -> None:
    revision = Revision(MODEL, Server())

    found = with_profile(revision, profile(images={"serving": "hub/serving:1"}, pods={"nodeSelector": {"pool": "a"}}))

    assert found.id == revision.id
    assert found.server.image == "hub/serving:1"
    assert found.server.template.node_selector == {"pool": "a"}


def test_an_image_of_the_services_own_stays_and_gpus_have_their_own() -> None:
    images = {"serving": "hub/serving:1", "servingGpu": "hub/serving:1-gpu"}

    assert with_profile(Revision(MODEL, Server(image="own:1")), profile(images=images)).server.image == "own:1"
    assert with_profile(Revision(MODEL, Server(gpus=1)), profile(images=images)).server.image == "hub/serving:1-gpu"


def test_a_service_that_names_a_profile_has_another_revision_than_one_that_does_not() -> None:
    assert Revision(MODEL, Server(), profile="a").id != Revision(MODEL, Server()).id


def test_more_gpus_than_the_profile_allows_are_refused() -> None:
    found = over_limit(Revision(MODEL, Server(gpus=2)), profile(limits={"maxGpus": 1}))

    assert found is not None
    assert "allows 1 GPUs, and spec.server.gpus is 2" in found.message
    assert over_limit(Revision(MODEL, Server(gpus=1)), profile(limits={"maxGpus": 1})) is None


async def test_changing_a_profile_restarts_no_server_and_the_next_revision_has_it() -> None:
    world = World().put(a_model_service().following(**LABELS))
    put_profile(world.cluster, default=True, pods={"nodeSelector": {"pool": "a"}})
    await world.put_job(a_succeeded_job(1)).run()
    (deployment,) = world.cluster.peek(DEPLOYMENT)
    assert deployment["spec"]["template"]["spec"]["nodeSelector"] == {"pool": "a"}
    assert world.status()["profile"] == {"name": "team", "generation": 1}

    put_profile(world.cluster, default=True, pods={"nodeSelector": {"pool": "b"}})
    await world.later(minutes=1).run()

    (same,) = world.cluster.peek(DEPLOYMENT)
    assert same["spec"]["template"] == deployment["spec"]["template"]
    await world.put_job(a_succeeded_job(2)).run()
    await world.later(minutes=1).run()
    (newer,) = world.cluster.peek(DEPLOYMENT)
    assert newer["spec"]["template"]["spec"]["nodeSelector"] == {"pool": "b"}
    assert world.status()["profile"] == {"name": "team", "generation": 2}
