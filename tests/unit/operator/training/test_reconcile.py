from datetime import timedelta
from typing import Any

import pytest

from support.training import NAMESPACE, World, a_report, a_training_job
from trainyard_operator.cluster.errors import Forbidden, Invalid, Unavailable
from trainyard_operator.cluster.kinds import CONFIG_MAP, JOB, SERVICE, TRAINING_JOB
from trainyard_operator.training.progress import Snapshot
from trainyard_operator.training.reconcile import pause

LISTS = [("list", "configmaps"), ("list", "services"), ("list", "jobs"), ("list", "pods")]
STEADY = [("get", "trainingjobs"), *LISTS]


async def test_a_new_job_gets_its_children_and_a_status_in_one_pass() -> None:
    world = World().put(a_training_job())

    await world.reconcile()

    assert world.cluster.calls == [
        *STEADY,
        ("list", "trainingprofiles"),
        ("get", "persistentvolumeclaims"),
        ("get", "configmaps"),
        ("list", "resourcequotas"),
        ("list", "trainingjobs"),  # to tell the trainer what is in use
        ("create", "configmaps"),
        ("create", "jobs"),
        ("apply_status", "trainingjobs"),
        ("emit", "events"),
    ]
    assert world.status()["phase"] == "Starting"
    assert world.status()["attempts"] == [{"n": 0, "outcome": "Running"}]
    assert world.events() == ["Normal TrainingStarted"]


@pytest.mark.parametrize("stage", ["starting", "running"])
async def test_a_job_at_rest_costs_one_list_for_each_kind_and_no_write(stage: str) -> None:
    world = World().put(a_training_job())
    await (world.settle() if stage == "starting" else world.running())
    world.cluster.calls.clear()

    await world.reconcile()

    assert world.cluster.calls == STEADY


async def test_a_finished_job_costs_one_get_and_is_never_run_again() -> None:
    world = await World().put(a_training_job()).running()
    world.succeed()
    await world.settle()
    for job in world.jobs():
        world.cluster.remove(JOB, NAMESPACE, job)
    world.cluster.calls.clear()

    outcome = await world.reconcile()

    assert world.cluster.calls == [("get", "trainingjobs")]
    assert outcome.requeue_after is None
    assert world.status()["phase"] == "Succeeded"


async def test_a_job_that_predicted_tells_how_many_rows_and_where() -> None:
    program = {"predict": {"model": {"name": "trained"}}}
    world = await World().put(a_training_job().with_spec(program=program)).running()
    made = {"rows": 98, "badRows": 2, "files": 3, "path": "churn/predictions/uid-of-churn", "model": "trained/4"}
    world.later(minutes=1).succeed(message=a_report(reason="Predicted", model=None, predictions=made))

    await world.settle()

    status = world.status()
    uri = "pvc://models/churn/predictions/uid-of-churn"
    assert status["predictions"] == {"rows": 98, "badRows": 2, "files": 3, "uri": uri, "model": "trained/4"}
    assert (status["phase"], world.conditions()["Succeeded"]["reason"]) == ("Succeeded", "Predicted")
    assert "model" not in status


async def test_a_job_that_succeeded_tells_where_its_model_is() -> None:
    world = await World().put(a_training_job()).running()
    world.later(minutes=1).succeed()

    await world.settle()

    status = world.status()
    assert status["phase"] == "Succeeded"
    assert status["model"] == {
        "name": "churn",
        "version": 1,
        "uri": "pvc://models/churn/1",
        "digest": "sha256:" + "ab" * 32,
        "sizeBytes": 4096,
        "metrics": {"val_accuracy": "0.96875"},
    }
    assert status["completionTime"] == "2026-11-23T10:01:00Z"
    assert status["progress"]["percent"] == 100
    assert status["lastCheckpoint"]["step"] == 100
    assert world.conditions()["Succeeded"]["status"] == "True"
    assert world.conditions().keys() == {"Running", "Suspended", "Succeeded", "Failed"}
    assert world.events() == ["Normal TrainingStarted", "Normal Succeeded"]


@pytest.mark.parametrize(
    ("said", "created"),
    [
        pytest.param("2026-11-20T08:00:00Z", "2026-11-20T08:00:00Z", id="a time"),
        pytest.param("last week", None, id="no time"),
    ],
)
async def test_a_job_that_takes_a_version_of_before_tells_when_it_was_made(said: str, created: str | None) -> None:
    model = a_report()["model"] | {"created": said}
    world = await World().put(a_training_job()).running()
    world.later(minutes=1).succeed(message=a_report(reason="AlreadyTrained", model=model))

    await world.settle()

    status = world.status()
    assert (status["phase"], status["model"]["uri"]) == ("Succeeded", "pvc://models/churn/1")
    assert status["model"].get("created") == created
    assert world.conditions()["Succeeded"]["reason"] == "AlreadyTrained"


async def test_the_progress_of_a_running_trainer_comes_into_the_status() -> None:
    world = await World().put(a_training_job()).running()
    world.progress.answer = Snapshot(
        phase="training", epoch=3, epochs=10, step=30, steps=100, loss=0.123456789, eta_seconds=200
    )

    outcome = await world.reconcile()

    assert outcome.requeue_after == 60.0
    assert set(world.progress.asked) == {"10.0.0.7"}
    assert world.status()["phase"] == "Running"
    assert world.status()["progress"] == {
        "epoch": 3,
        "epochs": 10,
        "step": 30,
        "steps": 100,
        "percent": 30,
        "summary": "3/10",
        "loss": "0.1235",
        "metrics": {},
        "eta": "3m20s",
        "updated": "2026-11-23T10:00:00Z",
        "advanced": "2026-11-23T10:00:00Z",
    }


async def test_a_pod_that_ended_before_its_job_did_is_not_starting_again() -> None:
    world = await World().put(a_training_job()).running()
    world.progress.answer = Snapshot(phase="exporting", epoch=10, epochs=10)
    await world.reconcile()
    world.end_pod(code=0, message=a_report())

    await world.reconcile()

    assert world.status()["phase"] == "Exporting"


async def test_a_trainer_that_does_not_answer_once_keeps_its_phase_and_progress() -> None:
    world = await World().put(a_training_job()).running()
    world.progress.answer = Snapshot(phase="training", epoch=3, epochs=10)
    await world.reconcile()
    world.progress.answer = None

    await world.reconcile()

    assert world.status()["phase"] == "Running"
    assert world.status()["progress"]["summary"] == "3/10"


async def test_a_failed_program_is_tried_again_after_a_while_and_counted_once() -> None:
    world = await World().put(a_training_job()).running()
    world.fail(code=1, message="Traceback ...\nValueError: boom")

    outcome = await world.settle()

    assert world.jobs() == ["churn-worker-0"]
    assert outcome.requeue_after == 5.0
    assert world.status()["failure"] == {
        "reason": "Error",
        "reasonClass": "ApplicationError",
        "message": "exit code 1: ValueError: boom",
        "attempt": 0,
        "exitCode": 1,
        "node": "node-1",
        "role": "worker",
        "logTail": ["Traceback ...", "ValueError: boom"],
    }
    world.later(seconds=5)
    await world.settle()
    assert world.jobs() == ["churn-worker-0", "churn-worker-1"]
    assert world.status()["restarts"] == 1
    assert world.events() == [
        "Normal TrainingStarted",
        "Warning AttemptFailed",
        "Normal TrainingRestarted",
    ]


async def test_a_program_that_keeps_failing_ends_after_its_last_restart() -> None:
    world = World().put(a_training_job().with_run_policy(maxRestarts=1))
    for attempt in (0, 1):
        await world.running(attempt)
        world.fail(attempt, code=7, message="boom")
        await world.settle()
        world.later(minutes=5)

    assert await world.settle()
    assert world.jobs() == ["churn-worker-0", "churn-worker-1"]
    assert world.status()["phase"] == "Failed"
    assert world.status()["restarts"] == 1
    assert world.status()["failure"]["message"] == (
        "failed 2 times, and spec.runPolicy.maxRestarts is 1; the last: exit code 7: boom"
    )
    assert world.events() == [
        "Normal TrainingStarted",
        "Warning AttemptFailed",
        "Normal TrainingRestarted",
        "Warning Failed",
    ]


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [(2, "BadInput", "BadInput"), (2, "not a word", "BadInput"), (3, "Diverged", "Diverged"), (3, "", "Diverged")],
)
async def test_bad_input_and_divergence_are_final_and_say_what_the_trainer_said(
    code: int, reason: str, expected: str
) -> None:
    world = await World().put(a_training_job()).running()
    said = "rows.csv has no column 'churned'; it has: a, b"
    world.fail(code=code, message=a_report(reason=reason, message=said, model=None))

    await world.settle()

    assert world.status()["phase"] == "Failed"
    assert world.status()["failure"]["reason"] == expected
    assert world.status()["failure"]["message"] == said
    assert world.conditions()["Failed"]["status"] == "True"
    assert world.conditions()["Stalled"]["status"] == "True"
    assert world.cluster.events[-1][2].message == f"{expected}: {said}"


async def test_a_trainer_that_stopped_after_a_checkpoint_goes_on_without_being_charged() -> None:
    world = World().put(a_training_job().with_run_policy(maxRestarts=0))
    await world.running()
    world.fail(code=75, message=a_report(reason="Stopped", model=None))
    await world.settle()

    world.later(seconds=1)
    await world.settle()

    assert world.jobs() == ["churn-worker-0", "churn-worker-1"]
    assert world.status()["restarts"] == 0
    assert [each["outcome"] for each in world.status()["attempts"]] == ["Stopped", "Running"]
    assert world.cluster.events[-1][2].message == "Started attempt 1 from step 100"


async def test_a_job_that_is_stopped_for_ever_gives_up() -> None:
    world = World().put(a_training_job())
    for attempt in range(21):
        await world.running(attempt)
        world.fail(attempt, code=75)
        await world.settle()
        world.later(seconds=300)

    await world.settle()

    assert len(world.jobs()) == 21
    assert world.status()["failure"]["reason"] == "TooManyStops"


async def test_a_deleted_job_counts_as_stopped_and_the_next_attempt_waits_for_its_pod() -> None:
    world = await World().put(a_training_job()).running()
    pod = world.cluster.objects.pop(("pods", NAMESPACE, "churn-worker-0-0-abcde"))
    world.cluster.remove(JOB, NAMESPACE, "churn-worker-0")
    world.cluster.objects["pods", NAMESPACE, "churn-worker-0-0-abcde"] = pod
    await world.settle()
    world.later(seconds=5)

    outcome = await world.settle()
    assert world.jobs() == []
    assert outcome.requeue_after == 1.0

    del world.cluster.objects["pods", NAMESPACE, "churn-worker-0-0-abcde"]
    await world.settle()
    assert world.jobs() == ["churn-worker-1"]
    assert world.status()["attempts"][0]["outcome"] == "Stopped"


async def test_a_result_whose_pod_is_gone_is_asked_for_once_more() -> None:
    world = await World().put(a_training_job()).running()
    world.end_job(failed=False)
    del world.cluster.objects["pods", NAMESPACE, "churn-worker-0-0-abcde"]
    await world.settle()
    world.later(seconds=1)
    await world.running(1)
    world.succeed(1)

    await world.settle()

    assert world.status()["phase"] == "Succeeded"
    assert world.status()["restarts"] == 0


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("hello world", "left no result as JSON in its termination message; it says: hello world"),
        ("", "left no result as JSON in its termination message"),
        (a_report(model=None), "its last word names no model"),
        (
            a_report(model=a_report()["model"] | {"path": "../other/1"}),
            "it wrote model 'churn' at '../other/1'; expected 'churn/1'",
        ),
        (a_report(model=a_report()["model"] | {"digest": "sha256:0"}), "left no result as JSON"),
    ],
)
async def test_a_result_that_does_not_make_sense_fails_the_job(message: Any, says: str) -> None:
    world = await World().put(a_training_job()).running()
    world.succeed(message=message)

    await world.settle()

    assert world.status()["phase"] == "Failed"
    assert world.status()["failure"]["reason"] == "InvalidResult"
    assert says in world.status()["failure"]["message"]
    assert "model" not in world.status()


async def test_a_suspended_job_starts_nothing_and_a_running_one_is_suspended_and_goes_on_as_the_same_attempt() -> None:
    world = World().put(a_training_job().with_run_policy(suspend=True))
    await world.settle()
    assert world.jobs() == []
    assert world.status()["phase"] == "Suspended"
    assert "Reconciling" not in world.conditions()

    world.update_spec(suspend=False)
    await world.running()
    world.update_spec(suspend=True)
    await world.settle()
    assert world.job()["spec"]["suspend"] is True
    assert world.status()["phase"] == "Suspended"

    world.update_spec(suspend=False)
    await world.settle()
    assert world.job()["spec"]["suspend"] is False
    assert world.jobs() == ["churn-worker-0"]
    assert world.events() == [
        "Normal Suspended",
        "Normal TrainingStarted",
        "Normal Resumed",
        "Normal Suspended",
        "Normal Resumed",
    ]


async def test_an_attempt_past_its_deadline_is_charged_and_tried_again() -> None:
    world = await World().put(a_training_job().with_run_policy(attemptDeadline="1h30m")).running()
    assert world.job()["spec"]["activeDeadlineSeconds"] == 5400
    world.end_job(reason="DeadlineExceeded")

    await world.settle()

    assert world.status()["failure"]["reason"] == "DeadlineExceeded"
    world.remove_pod()
    await world.later(seconds=10).settle()
    assert world.jobs() == ["churn-worker-0", "churn-worker-1"]
    assert world.status()["restarts"] == 1


async def test_children_that_somebody_changed_or_deleted_are_restored() -> None:
    world = await World().put(a_training_job().with_worker(replicas=2)).running()
    world.cluster.objects["configmaps", NAMESPACE, "churn-spec"]["data"] = {"spec.json": "{}"}
    world.cluster.remove(SERVICE, NAMESPACE, "churn-training")
    world.cluster.calls.clear()

    await world.reconcile()

    assert world.cluster.writes == [("apply", "configmaps"), ("create", "services")]
    assert "churned" in world.cluster.objects["configmaps", NAMESPACE, "churn-spec"]["data"]["spec.json"]


@pytest.mark.parametrize("kind", [JOB, SERVICE, CONFIG_MAP])
async def test_an_object_that_is_not_ours_is_left_alone_and_named(kind: Any) -> None:
    names = {"jobs": "churn-worker-0", "services": "churn-training", "configmaps": "churn-spec"}
    world = World().put(a_training_job().with_worker(replicas=2))
    foreign = world.cluster.put(kind, {"metadata": {"name": names[kind.plural], "namespace": NAMESPACE}})

    outcome = await world.settle()

    assert world.cluster.objects[kind.plural, NAMESPACE, names[kind.plural]] == foreign
    assert outcome.requeue_after == 1.0
    assert world.conditions()["Stalled"]["reason"] == "NameTaken"
    assert names[kind.plural] in world.conditions()["Stalled"]["message"]
    assert world.events() == ["Warning NameTaken"]


async def test_one_that_trains_alone_looks_for_nobody_and_has_no_names_in_dns() -> None:
    world = await World().put(a_training_job()).running()
    assert world.cluster.peek(SERVICE) == []


async def test_a_job_created_anew_waits_quietly_until_the_children_of_the_old_one_are_gone() -> None:
    world = await World().put(a_training_job()).running()
    new = a_training_job().build()
    new["metadata"]["uid"] = "uid-of-another"
    del world.cluster.objects["trainingjobs", NAMESPACE, "churn"]
    world.cluster.put(TRAINING_JOB, new)
    world.cluster.events.clear()

    outcome = await world.settle()

    assert outcome.requeue_after == 1.0
    assert world.events() == []
    assert world.conditions()["Running"]["reason"] == "Created"
    assert "Stalled" not in world.conditions()

    for key in [key for key in world.cluster.objects if key[2].startswith("churn-")]:
        del world.cluster.objects[key]
    await world.settle()
    assert world.jobs() == ["churn-worker-0"]


async def test_a_finished_job_takes_note_of_a_later_spec_and_does_no_more() -> None:
    world = await World().put(a_training_job()).running()
    world.succeed()
    await world.settle()
    world.update_spec(suspend=True)

    await world.settle()

    assert world.status()["phase"] == "Succeeded"
    assert world.status()["observedGeneration"] == 2
    assert world.conditions()["Succeeded"]["observedGeneration"] == 2
    assert world.conditions()["Succeeded"]["status"] == "True"


async def test_deleting_a_job_removes_its_children_and_its_reconcile_does_nothing() -> None:
    world = await World().put(a_training_job()).running()
    world.cluster.remove(TRAINING_JOB, NAMESPACE, "churn")
    world.cluster.calls.clear()

    await world.reconcile()

    assert [key for key in world.cluster.objects if key[2].startswith("churn")] == []
    assert world.cluster.calls == [("get", "trainingjobs")]


async def test_a_job_that_is_being_deleted_is_left_alone() -> None:
    job = a_training_job()
    job.manifest["metadata"]["deletionTimestamp"] = "2026-11-23T10:00:00Z"
    world = World().put(job)

    await world.reconcile()

    assert world.cluster.writes == []


@pytest.mark.parametrize("code", [0, 1])
async def test_a_job_that_is_deleted_while_it_exports_is_let_go_however_it_ends(code: int) -> None:
    world = World().put(a_training_job())
    world.progress.answer = Snapshot(phase="exporting", epoch=10, epochs=10)
    await world.running()
    assert world.status()["phase"] == "Exporting"
    (live,) = world.cluster.peek(TRAINING_JOB)
    live["metadata"]["deletionTimestamp"] = "2026-11-23T10:00:00Z"
    world.cluster.put(TRAINING_JOB, live)
    world.cluster.calls.clear()

    world.end_pod(code=code, message=a_report() if code == 0 else "killed")
    world.end_job(failed=code != 0)
    outcome = await world.later(minutes=5).settle()

    assert (world.cluster.writes, outcome.requeue_after) == ([], None)


@pytest.mark.parametrize("ahead", [pytest.param(3600, id="ahead"), pytest.param(-3600, id="behind")])
async def test_the_next_attempt_does_not_wait_for_another_clock(ahead: int) -> None:
    world = await World().put(a_training_job()).running()
    world.later(seconds=ahead).fail()  # Kubernetes tells the time of the end
    world.later(seconds=-ahead)

    await world.settle()
    await world.later(seconds=6).settle()

    assert world.jobs()[-1] == "churn-worker-1"
    assert world.status()["attempts"][0]["ended"] <= "2026-11-23T10:00:00Z"


async def test_gpu_seconds_and_times_are_never_negative_whatever_the_clocks_say() -> None:
    world = await World().put(a_training_job().with_gpus(2)).running()
    world.later(hours=-1).succeed()
    world.later(hours=1)

    await world.settle()

    assert world.status()["phase"] == "Succeeded"
    assert min(world.status()["gpuSeconds"].values()) >= 0


async def test_two_jobs_of_one_model_have_children_and_results_of_their_own() -> None:
    first, second = a_training_job(), a_training_job().named("churn-2").with_spec(modelName="churn")
    second.manifest["metadata"] |= {"namespace": NAMESPACE, "uid": "uid-of-churn-2", "generation": 1}
    world = World().put(first).put(second)

    await world.settle("churn")
    await world.settle("churn-2")

    assert world.jobs() == ["churn-2-worker-0", "churn-worker-0"]
    work = [
        next(each["value"] for each in env if each["name"] == "TRAINYARD_CHECKPOINT_DIR")
        for env in (
            world.job(name=name)["spec"]["template"]["spec"]["containers"][0]["env"] for name in ("churn", "churn-2")
        )
    ]
    assert work == [f"/trainyard/store/churn/.training/{uid}/checkpoints" for uid in ("uid-of-churn", "uid-of-churn-2")]


@pytest.mark.parametrize("error", [Invalid("tolerations[0].key: bad", code=422), Forbidden("exceeded quota", code=403)])
async def test_what_the_api_server_rejects_is_said_in_a_condition(error: Exception) -> None:
    world = World().put(a_training_job())
    world.cluster.fail_at, world.cluster.failure = 11, error

    await world.reconcile()

    assert world.cluster.calls[11] == ("create", "jobs")
    assert world.conditions()["Stalled"]["reason"] == "Rejected"
    assert str(error) in world.conditions()["Stalled"]["message"]


async def test_an_api_server_that_does_not_answer_is_tried_again_later() -> None:
    world = World().put(a_training_job())
    world.cluster.fail_at, world.cluster.failure = 10, Unavailable("HTTP 503", code=503)

    with pytest.raises(Unavailable):
        await world.reconcile()

    await world.settle()
    assert world.status()["phase"] == "Starting"


async def test_a_status_that_nobody_can_read_is_made_anew_from_the_jobs() -> None:
    world = await World().put(a_training_job()).running()
    world.cluster.set_status(TRAINING_JOB, NAMESPACE, "churn", {"attempts": "garbage"})

    await world.settle()

    assert world.jobs() == ["churn-worker-0"]
    assert world.status()["attempts"][0]["n"] == 0


async def test_a_pod_that_replaced_a_disrupted_one_is_the_one_that_counts() -> None:
    world = await World().put(a_training_job()).running()
    disrupted = world.cluster.objects["pods", NAMESPACE, "churn-worker-0-0-abcde"]
    disrupted["status"] = {"phase": "Failed", "conditions": [{"type": "DisruptionTarget", "status": "True"}]}
    disrupted["metadata"]["name"] = "churn-worker-0-0-zzzzz"
    world.cluster.objects["pods", NAMESPACE, "churn-worker-0-0-zzzzz"] = disrupted
    del world.cluster.objects["pods", NAMESPACE, "churn-worker-0-0-abcde"]
    world.create_pod()
    world.run_pod()
    world.progress.asked.clear()

    await world.settle()

    assert set(world.progress.asked) == {"10.0.0.7"}
    assert world.status()["restarts"] == 0
    assert world.status()["attempts"][0]["outcome"] == "Running"


@pytest.mark.parametrize(
    ("waited", "expected"),
    [
        pytest.param(0, 1, id="at once"),
        pytest.param(4, 4, id="as long as it has waited"),
        pytest.param(60, 15, id="15 s at most"),
        pytest.param(600, 60, id="a tenth of a long wait"),
        pytest.param(86400, 300, id="5 min at most"),
    ],
)
def test_what_is_in_the_way_is_looked_at_ever_more_rarely(waited: float, expected: float) -> None:
    assert pause(waited) == expected


async def test_a_claim_that_is_missing_for_an_hour_costs_few_reads() -> None:
    world = World().put(a_training_job().with_data(configMap={"name": "nowhere"}))
    await world.settle()
    end, reads = world.now + timedelta(hours=1), 0
    while world.now < end:
        world.cluster.calls.clear()
        outcome = await world.reconcile()
        reads += sum(verb == "get" for verb, plural in world.cluster.calls if plural == "configmaps")
        assert outcome.requeue_after is not None
        world.later(seconds=outcome.requeue_after)

    assert 10 < reads < 60  # once in 15 s would be 240


async def test_a_training_that_another_controller_runs_is_let_alone() -> None:
    theirs = {"phase": "Running", "conditions": []}
    world = World().put(a_training_job().with_spec(managedBy="kueue.x-k8s.io/multikueue"))
    world.cluster.set_status(TRAINING_JOB, NAMESPACE, "churn", theirs)
    world.cluster.calls.clear()

    outcome = await world.settle()

    assert (world.cluster.writes, outcome.requeue_after) == ([], None)
    assert world.status() == theirs


async def test_a_training_that_names_this_operator_is_run() -> None:
    world = World().put(a_training_job().with_spec(managedBy="trainyard.dev/operator"))

    await world.settle()

    assert world.jobs() == ["churn-worker-0"]
