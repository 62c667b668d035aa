"""The life of a ModelService: how it begins, rolls on, is scaled and withstands what others do."""

from support.serving import (
    DRAIN,
    LABELS,
    NAMESPACE,
    ModelServiceBuilder,
    World,
    a_model_service,
    a_succeeded_job,
    a_world_serving,
)
from trainyard_api.names import MODEL_VERSION_LABEL, REVISION_LABEL
from trainyard_operator.cluster.kinds import CONFIG_MAP, DEPLOYMENT, MODEL_SERVICE, POD, SERVICE
from trainyard_operator.serving.identity import revision_of
from trainyard_operator.serving.optional_children import OPTIONAL_KINDS
from trainyard_operator.serving.pod import FetchImages

LISTS = [("list", "services"), ("list", "deployments"), ("list", "configmaps"), ("list", "pods")]
LOOK = [("get", "modelservices"), *LISTS]
OPTIONAL = [("list", optional.kind.plural) for optional in OPTIONAL_KINDS]
FOLLOWING = a_model_service().following(**LABELS)


async def test_a_new_service_gets_its_children_and_a_status_in_one_pass() -> None:
    world = World().put(a_model_service())

    await world.reconcile()

    assert world.cluster.calls == [
        *LOOK,
        ("get", "persistentvolumeclaims"),
        ("list", "trainingprofiles"),
        ("create", "configmaps"),
        ("create", "deployments"),
        ("create", "services"),
        *OPTIONAL,
        ("apply_status", "modelservices"),
        ("emit", "events"),
    ]
    assert world.status()["phase"] == "Progressing"
    assert world.events() == ["Normal RolloutStarted"]


async def test_a_service_at_rest_costs_one_list_for_each_kind_and_no_write() -> None:
    world = await a_world_serving()
    world.cluster.calls.clear()
    world.pods.asked.clear()

    outcome = await world.reconcile()

    assert world.cluster.calls == [*LOOK, ("list", "trainingjobs"), *OPTIONAL]
    assert world.pods.asked == []
    assert outcome.requeue_after is None


async def test_a_pinned_service_at_rest_costs_as_little() -> None:
    world = World().put(a_model_service())
    await world.run()
    world.cluster.calls.clear()

    await world.reconcile()

    assert world.cluster.calls == [*LOOK, *OPTIONAL]


async def test_a_service_is_ready_only_when_its_pod_says_that_it_has_the_model() -> None:
    world = World().put(a_model_service())
    world.pods.silent = True
    await world.run()

    assert world.status()["phase"] == "Progressing"
    assert world.status()["ready"] == "0/1"
    assert "connection refused" in world.message("Ready")
    assert (await world.reconcile()).requeue_after == 1.0

    world.pods.silent = False
    await world.run()

    assert world.status()["phase"] == "Ready"
    assert world.pods.asked[-1][1:] == ("churn", 1)
    assert world.condition("Ready") == ("True", "Serving")
    assert world.events() == ["Normal RolloutStarted", "Normal RolledOut"]


async def test_the_status_tells_what_serves_and_where() -> None:
    world = await a_world_serving()

    status = world.status()
    revision = world.serving()
    assert status["url"] == "http://churn.team.svc:8501/v1/models/churn"
    assert status["grpc"] == "churn.team.svc:8500"
    assert status["current"] == {
        "revision": revision,
        "model": "churn",
        "modelVersion": 1,
        "uri": "pvc://models/churn/1",
        "digest": f"sha256:{1:064x}",
        "ready": 1,
        "trainingJob": "churn-1",
        "trainingJobUid": "uid-of-1",
        "trained": "2026-11-23T09:01:00Z",
        "selector": "model=churn",
    }
    assert "next" not in status
    assert (status["replicas"], status["ready"], status["observedGeneration"]) == (1, "1/1", 1)
    assert status["selector"] == f"trainyard.dev/model-service=churn,trainyard.dev/revision={revision}"


async def test_a_new_version_is_brought_up_beside_the_old_one_and_takes_over_when_it_answers() -> None:
    world = await a_world_serving()
    old = world.serving()
    world.put_job(a_succeeded_job(2))
    await world.settle()

    assert world.serving() == old
    assert world.condition("Available") == ("True", "Answering")
    assert world.condition("Ready") == ("False", "RollingOut")
    assert "version 1 of churn keeps serving" in world.message("Ready")
    assert world.status()["next"]["modelVersion"] == 2

    await world.run()

    assert world.serving() != old
    assert world.status()["current"]["modelVersion"] == 2
    assert world.status()["phase"] == "Ready"
    assert len(world.deployments()) == 2
    assert world.events()[-2:] == ["Normal RolloutStarted", "Normal RolledOut"]


async def test_the_old_version_goes_on_for_the_drain_time_and_is_then_removed() -> None:
    world = await a_world_serving()
    old = world.serving()
    world.put_job(a_succeeded_job(2))
    await world.run()

    assert (await world.reconcile()).requeue_after == DRAIN.total_seconds()
    await world.later(seconds=14).run()
    assert f"churn-{old}" in world.deployments()

    await world.later(seconds=1).run()

    assert world.deployments() == [f"churn-{world.serving()}"]
    assert [each["metadata"]["name"] for each in world.cluster.peek(CONFIG_MAP)] == world.deployments()
    assert (await world.reconcile()).requeue_after is None


async def test_every_replica_has_to_answer_before_the_traffic_moves() -> None:
    world = World().put(FOLLOWING.with_replicas(3)).put_job(a_succeeded_job(1))
    await world.run()
    old = world.serving()
    world.put_job(a_succeeded_job(2))
    await world.reconcile()
    world.control()
    new = world.status()["next"]["revision"]

    world.start_pods(f"churn-{new}-0", f"churn-{new}-1")
    await world.settle()
    assert world.serving() == old
    assert world.status()["next"]["ready"] == 2

    world.start_pods()
    await world.settle()
    assert world.serving() == new


async def test_where_nothing_answers_any_more_the_first_new_pod_takes_over() -> None:
    world = World().put(FOLLOWING.with_replicas(2)).put_job(a_succeeded_job(1))
    await world.run()
    old = world.serving()
    for pod in world.pods_of(f"churn-{old}"):
        world.cluster.set_status(POD, NAMESPACE, pod["metadata"]["name"], {"phase": "Running"})
    world.put_job(a_succeeded_job(2))
    await world.reconcile()
    world.control()
    new = world.status()["next"]["revision"]

    world.start_pods(f"churn-{new}-0")
    await world.settle()

    assert world.serving() == new
    assert world.status()["ready"] == "1/2"
    assert world.condition("Available")[0] == "True"


async def test_a_newer_version_replaces_the_one_that_is_being_brought_up() -> None:
    world = await a_world_serving()
    old = world.serving()
    world.put_job(a_succeeded_job(2))
    await world.settle()
    world.put_job(a_succeeded_job(3))
    await world.settle()

    versions = {each["metadata"]["labels"][MODEL_VERSION_LABEL] for each in world.cluster.peek(DEPLOYMENT)}
    assert versions == {"1", "3"}
    assert world.serving() == old


BROKEN = {
    "initContainerStatuses": [
        {
            "name": "fetch",
            "image": "operator:test",
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {
                "terminated": {
                    "exitCode": 1,
                    "message": "ModelNotFound: /trainyard/store/churn/2 does not exist; /trainyard/store has: churn",
                }
            },
        }
    ]
}


async def test_a_version_that_never_gets_ready_leaves_the_old_one_serving() -> None:
    world = await a_world_serving()
    old = world.serving()
    world.put_job(a_succeeded_job(2))
    await world.settle()
    world.control()
    world.report(BROKEN)
    await world.settle()

    assert world.serving() == old
    assert world.status()["phase"] == "Degraded"
    assert world.condition("Degraded") == ("True", "ModelNotFound")
    assert world.condition("Progressing") == ("False", "ModelNotFound")
    assert world.condition("Available") == ("True", "Answering")
    assert world.condition("Stalled") == ("True", "ModelNotFound")
    assert "/trainyard/store/churn/2 does not exist" in world.message("Ready")
    assert "version 1 of churn keeps serving" in world.message("Ready")
    assert world.events()[-1] == "Warning RolloutFailed"


async def test_what_is_wrong_with_the_only_version_is_told_under_its_own_name() -> None:
    world = World().put(a_model_service())
    await world.settle()
    world.control()
    world.report(BROKEN)
    await world.settle()

    assert world.condition("Available") == ("False", "ModelNotFound")
    assert world.events() == ["Normal RolloutStarted", "Warning ModelNotFound"]

    world.start_pods()
    await world.run()

    assert world.status()["phase"] == "Ready"
    assert world.condition("Degraded") == ("False", "AsExpected")


async def test_a_full_cluster_holds_a_rollout_up_without_failing_it() -> None:
    world = await a_world_serving()
    world.put_job(a_succeeded_job(2))
    await world.settle()
    world.control()
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    world.report({"conditions": [unscheduled]})
    await world.settle()

    assert world.condition("Degraded") == ("True", "Unschedulable")
    assert world.condition("Reconciling")[0] == "True"
    assert world.events()[-1] == "Warning Unschedulable"

    await world.run()
    assert world.status()["current"]["modelVersion"] == 2


async def test_pods_that_are_ready_and_stay_mute_are_a_problem_after_a_minute() -> None:
    world = World().put(a_model_service())
    world.pods.silent = True
    await world.run()

    await world.later(seconds=60).settle()

    assert world.condition("Degraded") == ("True", "ModelNotAvailable")
    assert (await world.reconcile()).requeue_after == 1.0


async def test_scaling_applies_to_what_serves_and_to_what_comes_and_changes_no_revision() -> None:
    world = await a_world_serving()
    world.put_job(a_succeeded_job(2))
    await world.settle()
    world.update(FOLLOWING.with_replicas(2))
    await world.settle()

    assert [each["spec"]["replicas"] for each in world.cluster.peek(DEPLOYMENT)] == [2, 2]
    await world.run()
    await world.later(seconds=15).run()
    assert world.status()["ready"] == "2/2"

    world.update(FOLLOWING.with_replicas(1))
    await world.run()

    assert world.status()["ready"] == "1/1"
    assert len(world.deployments()) == 1


async def test_more_replicas_are_progress_while_the_first_ones_serve() -> None:
    world = await a_world_serving()
    world.update(FOLLOWING.with_replicas(2))
    await world.settle()

    assert world.condition("Progressing") == ("True", "Scaling")
    assert world.condition("Available") == ("True", "Answering")


async def test_no_replicas_is_stopped_and_can_be_started_again() -> None:
    world = await a_world_serving()
    revision = world.serving()
    world.update(FOLLOWING.with_replicas(0))
    await world.run()

    assert world.status()["phase"] == "Stopped"
    assert world.status()["ready"] == "0/0"
    assert world.condition("Available") == ("False", "Stopped")
    assert world.events()[-1] == "Normal Stopped"

    world.update(FOLLOWING)
    await world.run()

    assert world.status()["phase"] == "Ready"
    assert world.serving() == revision


async def test_an_upgrade_of_the_operator_touches_no_pod() -> None:
    world = await a_world_serving()
    world.fetch_images = FetchImages("operator:next", "trainer:next")
    world.cluster.calls.clear()

    await world.settle()

    assert world.cluster.writes == []


async def test_scaling_after_an_upgrade_leaves_the_pod_template_as_it_was() -> None:
    world = await a_world_serving()
    template = world.cluster.peek(DEPLOYMENT)[0]["spec"]["template"]
    world.fetch_images = FetchImages("operator:next", "trainer:next")
    world.update(FOLLOWING.with_replicas(2))

    await world.settle()

    assert world.cluster.peek(DEPLOYMENT)[0]["spec"]["template"] == template
    assert world.cluster.peek(DEPLOYMENT)[0]["spec"]["replicas"] == 2


async def test_a_service_that_was_deleted_comes_back_pointing_to_what_served() -> None:
    world = await a_world_serving()
    old = world.serving()
    world.put_job(a_succeeded_job(2))
    await world.settle()
    world.cluster.remove(SERVICE, NAMESPACE, "churn")

    await world.settle()

    assert world.serving() == old


async def test_a_service_that_was_bent_is_straightened() -> None:
    world = await a_world_serving()
    world.cluster.objects["services", NAMESPACE, "churn"]["spec"]["selector"][REVISION_LABEL] = "elsewhere"
    world.cluster.objects["services", NAMESPACE, "churn"]["spec"]["ports"] = []

    await world.settle()

    assert world.serving() == world.status()["current"]["revision"]
    assert [port["port"] for port in world.cluster.peek(SERVICE)[0]["spec"]["ports"]] == [8500, 8501]


async def test_a_deployment_that_was_deleted_comes_back() -> None:
    world = await a_world_serving()
    (name,) = world.deployments()
    world.cluster.remove(DEPLOYMENT, NAMESPACE, name)

    await world.run()

    assert world.deployments() == [name]
    assert world.status()["phase"] == "Ready"


async def test_a_deployment_that_was_scaled_by_hand_is_scaled_back() -> None:
    world = await a_world_serving()
    (name,) = world.deployments()
    world.cluster.objects["deployments", NAMESPACE, name]["spec"]["replicas"] = 5

    await world.run()

    assert world.cluster.peek(DEPLOYMENT)[0]["spec"]["replicas"] == 1


async def test_an_outage_and_its_end_are_told() -> None:
    world = await a_world_serving()
    (pod,) = world.cluster.peek(POD)
    world.cluster.set_status(POD, NAMESPACE, pod["metadata"]["name"], {"phase": "Running"})
    await world.settle()

    assert world.condition("Available")[0] == "False"
    assert world.events()[-1] == "Warning Unavailable"

    world.start_pods()
    await world.settle()

    assert world.condition("Available")[0] == "True"
    assert world.events()[-1] == "Normal Available"


async def test_a_status_that_was_lost_is_found_again() -> None:
    world = await a_world_serving()
    status = world.status()
    live = world.cluster.peek(MODEL_SERVICE)[0]
    world.cluster.put(MODEL_SERVICE, {key: each for key, each in live.items() if key != "status"})

    await world.settle()

    assert world.status() == status


async def test_labels_and_annotations_of_the_spec_are_on_all_children_and_restart_no_pod() -> None:
    plain = a_model_service().with_replicas(3).with_optional_children().through_gateway(grpcHostname="g.example.com")
    world = World().put(plain)
    await world.run()
    pods = [pod["metadata"]["uid"] for pod in world.cluster.peek(POD, NAMESPACE)]
    own = {"labels": {"team": "a"}, "annotations": {"example.com/owner": "b"}}
    labelled = ModelServiceBuilder(plain.manifest | {"spec": plain.manifest["spec"] | {"metadata": own}})

    await world.update(labelled).run()
    assert [pod["metadata"]["uid"] for pod in world.cluster.peek(POD, NAMESPACE)] == pods
    await world.update(labelled.serving("pvc://models/churn/2")).run()
    await world.later(minutes=1).run()

    kinds = (SERVICE, DEPLOYMENT, CONFIG_MAP, *(optional.kind for optional in OPTIONAL_KINDS))
    found = [child for kind in dict.fromkeys(kinds) for child in world.cluster.peek(kind, NAMESPACE)]
    children = [child for child in found if revision_of(child) in ("", world.serving())]
    templates = [child["spec"]["template"] for child in children if child["kind"] == "Deployment"]
    assert {child["kind"] for child in children} >= {"Service", "Deployment", "ConfigMap", "HTTPRoute", "GRPCRoute"}
    assert len(templates) == 1
    for child in (*children, *templates):
        assert child["metadata"]["labels"]["team"] == "a", child
        assert child["metadata"]["annotations"]["example.com/owner"] == "b", child
        assert child["metadata"]["labels"]["trainyard.dev/model-service"] == "churn"


def restarted(world: World) -> list[str]:
    templates = [deployment["spec"]["template"] for deployment in world.cluster.peek(DEPLOYMENT, NAMESPACE)]
    return [template["metadata"]["annotations"].get("trainyard.dev/restarted", "") for template in templates]


async def test_pods_that_lost_their_model_are_replaced_and_not_all_the_time() -> None:
    world = await a_world_serving()
    assert restarted(world) == [""]

    world.served.unloaded = True
    await world.later(minutes=1).reconcile()

    assert restarted(world) == ["2026-11-23T10:01:00Z"]
    assert world.condition("Degraded") == ("True", "ModelNotAvailable")
    assert "Could not find any versions of model churn" in world.message("Ready")
    await world.later(minutes=4).update(FOLLOWING.with_replicas(3)).run()
    assert restarted(world) == ["2026-11-23T10:01:00Z"]
    await world.later(minutes=1).reconcile()
    assert restarted(world) == ["2026-11-23T10:06:00Z"]


async def test_a_server_that_is_too_busy_to_tell_its_status_keeps_its_pods() -> None:
    world = await a_world_serving()

    world.served.silent = True
    await world.reconcile()

    assert restarted(world) == [""]
    assert world.status()["phase"] == "Ready"
