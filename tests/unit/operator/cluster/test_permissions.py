"""What the operator may do, compared with what it does."""

from support.fake_cluster import FakeCluster
from support.serving import LABELS, a_model_service, a_succeeded_job
from support.serving import World as ServingWorld
from support.training import NAMESPACE, World, a_training_job
from trainyard_api.names import ROLE_LABEL
from trainyard_api.times import to_rfc3339
from trainyard_operator.cluster.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    JOB,
    NETWORK_POLICY,
    NODE,
    PRIORITY_CLASS,
    RUNTIME_CLASS,
    SCALED_OBJECT,
    SERVICE,
    SERVICE_ACCOUNT,
    TRAINING_JOB,
    Kind,
)
from trainyard_operator.cluster.permissions import PERMISSIONS
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.main import WATCHED
from trainyard_operator.serving.optional_children import OPTIONAL_KINDS
from trainyard_operator.watchers import PARENTS

GRANTED = {(each.group, each.resource, verb) for each in PERMISSIONS for verb in each.verbs}
GROUPS = {each.resource: each.group for each in PERMISSIONS}
# Recording an event is a server-side apply, which creates it where there is none.
VERBS = {
    "get": [("", "get")],
    "list": [("", "list")],
    "create": [("", "create")],
    "apply": [("", "patch")],
    "scale": [("/scale", "patch")],
    "apply_status": [("/status", "patch")],
    "delete": [("", "delete")],
    "emit": [("", "create"), ("", "patch")],
    "log": [("/log", "get")],
}


A_JOB = a_training_job().with_data(persistentVolumeClaim={"claimName": "models"})


def used(cluster: FakeCluster) -> set[tuple[str, str, str]]:
    """Return the rights that the calls so far took."""
    return {(GROUPS[plural], plural + suffix, right) for verb, plural in cluster.calls for suffix, right in VERBS[verb]}


async def a_training_life() -> FakeCluster:
    """Everything that can be done for a TrainingJob: children made, changed and restored, and an end."""
    world = await World().put(A_JOB.with_worker(replicas=2)).running()
    world.update_spec(suspend=True)
    await world.settle()
    world.update_spec(suspend=False)
    await world.settle()
    world.cluster.objects["configmaps", NAMESPACE, "churn-spec"]["data"] = {}
    world.cluster.objects["services", NAMESPACE, "churn-training"]["spec"]["ports"] = []
    await world.settle()
    for kind, name in ((CONFIG_MAP, "churn-spec"), (SERVICE, "churn-training")):
        world.cluster.remove(kind, NAMESPACE, name)
    await world.settle()
    world.fail()
    await world.settle()
    return world.cluster


async def a_life_of_a_program_of_ones_own() -> FakeCluster:
    """A program that does not serve its progress is looked for it in what it prints."""
    return (await World().put(a_training_job().with_container(image="me/train:1")).running()).cluster


async def a_life_with_needs() -> FakeCluster:
    """Accounts, classes and nodes are looked for, and so are quotas."""
    template = {"serviceAccountName": "robot", "priorityClassName": "high", "runtimeClassName": "nvidia"}
    world = World().put(a_training_job().with_worker(gpus=1, template=template))
    world.cluster.put(SERVICE_ACCOUNT, {"metadata": {"name": "robot", "namespace": NAMESPACE}})
    for kind, name in ((PRIORITY_CLASS, "high"), (RUNTIME_CLASS, "nvidia"), (NODE, "node-1")):
        world.cluster.put(kind, {"metadata": {"name": name}})
    await world.settle()
    return world.cluster


async def a_life_of_several_pods() -> FakeCluster:
    """Pods that train together are shut to others, and stay so."""
    world = await World().put(a_training_job().with_worker(replicas=2)).running()
    (policy,) = world.cluster.peek(NETWORK_POLICY)
    policy["spec"]["ingress"] = []
    world.cluster.objects["networkpolicies", NAMESPACE, policy["metadata"]["name"]] = policy
    await world.settle()
    return world.cluster


async def a_life_beside_a_sidecar() -> FakeCluster:
    """A container that never ends keeps a Job, which is deleted once the end of the training is recorded."""
    world = await World().put(a_training_job()).running()
    world.end_trainer(code=2, message="no such column")
    await world.later(seconds=10).settle()
    return world.cluster


async def a_life_that_leaves_a_record_only() -> FakeCluster:
    """What was made for a training goes some time after its end."""
    policy = {"ttlAfterFinished": "1h"}
    world = await World().put(a_training_job().with_worker(replicas=2).with_run_policy(**policy)).running()
    world.fail(code=2)
    await world.settle()
    await world.later(hours=1).settle()
    return world.cluster


async def a_life_whose_pods_are_refused() -> FakeCluster:
    """Why they are, only events say."""
    world = World().put(a_training_job())
    await world.settle()
    world.cluster.set_status(JOB, NAMESPACE, "churn-worker-0", {"startTime": to_rfc3339(world.now)})
    await world.later(seconds=10).settle()
    return world.cluster


async def a_serving_life() -> FakeCluster:
    """Everything that can be done for a ModelService: children made, scaled, switched, restored and removed."""
    following = a_model_service().following(**LABELS)
    world = ServingWorld().put(following)
    for version in (1, 2):
        await world.put_job(a_succeeded_job(version)).run()
    await world.update(following.with_replicas(2)).run()
    await world.later(minutes=1).run()
    for kind in (SERVICE, CONFIG_MAP, DEPLOYMENT):
        for child in world.cluster.peek(kind):
            world.cluster.remove(kind, NAMESPACE, child["metadata"]["name"])
    world.cluster.remove(TRAINING_JOB, NAMESPACE, "churn-2")
    await world.run()
    return world.cluster


async def a_life_with_everything_optional() -> FakeCluster:
    """Optional children are made, restored when somebody bends them, and removed."""
    everything = a_model_service().with_replicas(2).with_optional_children()
    world = ServingWorld().put(everything)
    await world.run()
    for optional in OPTIONAL_KINDS:
        for child in world.cluster.peek(optional.kind, labels={ROLE_LABEL: optional.role} if optional.role else {}):
            bend(world.cluster, optional.kind, child)
    await world.run()
    await world.update(a_model_service().with_replicas(2).with_keda()).run()
    (scaled,) = world.cluster.peek(SCALED_OBJECT)
    bend(world.cluster, SCALED_OBJECT, scaled)
    await world.run()
    await world.update(a_model_service()).run()
    left = [child for optional in OPTIONAL_KINDS for child in world.cluster.peek(optional.kind)]
    assert {child["metadata"]["name"] for child in left} == {"churn"}, "the stable Service alone is left"
    assert {child["kind"] for child in left} == {"Service"}
    return world.cluster


def bend(cluster: FakeCluster, kind: Kind, child: Manifest) -> None:
    """Change the number, text, list or map that comes first in a spec."""
    name, first = next(iter(child["spec"].items()))
    child["spec"][name] = type(first)()
    cluster.put(kind, child)


async def test_all_that_is_called_is_granted_and_nothing_else() -> None:
    lives = [await a_training_life(), await a_life_of_a_program_of_ones_own(), await a_life_beside_a_sidecar()]
    lives += [
        await a_life_of_several_pods(),
        await a_life_with_needs(),
        await a_life_that_leaves_a_record_only(),
        await a_life_whose_pods_are_refused(),
        await a_serving_life(),
        await a_life_with_everything_optional(),
    ]
    called = set[tuple[str, str, str]]().union(*(used(cluster) for cluster in lives))
    watched = {(kind.group, kind.plural, verb) for kind in (*PARENTS, *WATCHED) for verb in ("list", "watch")}
    # A name that is taken is looked up, to see whose it is.
    looked_up = {(kind.group, kind.plural, "get") for kind in (CONFIG_MAP, DEPLOYMENT, JOB, SERVICE)}
    looked_up |= {(optional.kind.group, optional.kind.plural, "get") for optional in OPTIONAL_KINDS}
    owned = {(kind.group, f"{kind.plural}/finalizers", "update") for kind in PARENTS}

    assert called | watched | looked_up | owned == GRANTED


def test_nobody_is_granted_the_same_twice() -> None:
    assert len(GRANTED) == sum(len(each.verbs) for each in PERMISSIONS)
