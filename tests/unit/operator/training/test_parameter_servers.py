"""A training with parameter servers: a Job for each role, and the end of the chief is the end of all."""

import json
from typing import Any

import kubernetes_validate
import pytest

from support.pod_security import violations
from support.training import NAMESPACE, World, a_report, a_training_job
from trainyard_api.roles import Roles
from trainyard_api.times import to_rfc3339
from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.cluster.kinds import JOB, NETWORK_POLICY, POD, SERVICE, TRAINING_PROFILE
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training import build
from trainyard_operator.training.pod import TrainerImages

IMAGES = TrainerImages("trainer:test", "trainer:test-gpu")
SERVERS = a_training_job().with_spec(
    roles={"worker": {"replicas": 2, "gpus": 1}, "ps": {"replicas": 2, "resources": {"limits": {"memory": "4Gi"}}}}
)
ROLES = ("chief", "worker", "ps")


def jobs_of(builder: Any = SERVERS, attempt: int = 0) -> dict[str, Manifest]:
    job, owner = TrainingJob.model_validate(builder.build()), builder.build()
    found = {"chief": build.attempt_job(job, owner, attempt, trainer_images=IMAGES)}
    for role in job.spec.roles.followers:
        found[role] = build.follower_job(job, owner, attempt, role, trainer_images=IMAGES, suspend=False)
    return found


def pod_of(job: Manifest) -> Manifest:
    pod: Manifest = job["spec"]["template"]["spec"]
    return pod


def config_of(job: Manifest, index: int = 0) -> Manifest:
    env = {variable["name"]: variable.get("value") for variable in pod_of(job)["containers"][0]["env"]}
    config: Manifest = json.loads(env["TF_CONFIG"].replace("$(TRAINYARD_WORKER_INDEX)", str(index)))
    return config


class Servers(World):
    """A world in which the pods of other roles come and go."""

    def create_role(self, role: str, attempt: int = 0, *, index: int = 0) -> None:
        name = f"churn-{role}-{attempt}"
        job = self.cluster.objects["jobs", NAMESPACE, name]
        self.cluster.put(
            POD,
            {
                "metadata": {
                    "name": f"{name}-{index}-abcde",
                    "namespace": NAMESPACE,
                    "labels": job["spec"]["template"]["metadata"]["labels"],
                    "annotations": {"batch.kubernetes.io/job-completion-index": str(index)},
                    "ownerReferences": [
                        {
                            "apiVersion": "batch/v1",
                            "kind": "Job",
                            "controller": True,
                            "name": name,
                            "uid": job["metadata"]["uid"],
                        }
                    ],
                },
                "spec": {"nodeName": "node-1"},
                "status": {
                    "phase": "Running",
                    "podIP": "10.0.0.9",
                    "containerStatuses": [
                        {"name": "trainer", "state": {"running": {"startedAt": to_rfc3339(self.now)}}}
                    ],
                },
            },
        )

    def end_role(self, role: str, attempt: int = 0, *, index: int = 0, code: int = 0) -> None:
        status = {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [{"name": "trainer", "state": {"terminated": {"exitCode": code}}}],
        }
        self.cluster.set_status(POD, NAMESPACE, f"churn-{role}-{attempt}-{index}-abcde", status)

    def end_chief(self, attempt: int = 0, *, code: int, message: Any = "") -> None:
        self.end_role("chief", attempt, code=code)
        pod = self.cluster.objects["pods", NAMESPACE, f"churn-chief-{attempt}-0-abcde"]
        ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        ended["message"] = message if isinstance(message, str) else json.dumps(message)
        condition = {
            "type": "Failed" if code else "Complete",
            "status": "True",
            "reason": "BackoffLimitExceeded" if code else "CompletionsReached",
            "lastTransitionTime": to_rfc3339(self.now),
        }
        self.cluster.set_status(JOB, NAMESPACE, f"churn-chief-{attempt}", {"conditions": [condition]})

    async def all_running(self, attempt: int = 0) -> "Servers":
        await self.settle()
        for role in ROLES:
            for index in range(1 if role == "chief" else 2):
                self.create_role(role, attempt, index=index)
        await self.settle()
        return self


@pytest.mark.parametrize("version", ["1.29", "1.36"])
@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_a_job_that_kubernetes_takes(role: str, version: str) -> None:
    job = jobs_of()[role]

    kubernetes_validate.validate(job, version, strict=True)
    assert violations(pod_of(job)) == []
    assert job["metadata"]["name"] == f"churn-{role}-0"
    assert job["metadata"]["labels"]["trainyard.dev/role"] == role
    assert job["spec"]["completions"] == (1 if role == "chief" else 2)


def test_all_are_told_of_the_same_cluster_and_each_of_its_own_place() -> None:
    jobs = jobs_of(attempt=1)
    place = ".churn-training.team.svc"

    assert config_of(jobs["chief"])["cluster"] == {
        "chief": [f"churn-chief-1-0{place}:2222"],
        "worker": [f"churn-worker-1-0{place}:2223", f"churn-worker-1-1{place}:2224"],
        "ps": [f"churn-ps-1-0{place}:2225", f"churn-ps-1-1{place}:2226"],
    }
    assert len({json.dumps(config_of(jobs[role])["cluster"]) for role in ROLES}) == 1
    assert [config_of(jobs[role], 1)["task"] for role in ROLES] == [{"type": role, "index": 1} for role in ROLES]


def test_a_lost_worker_ends_neither_its_role_nor_the_training_but_a_lost_chief_does() -> None:
    jobs = jobs_of()

    for role in ("worker", "ps"):
        assert (jobs[role]["spec"]["backoffLimitPerIndex"], jobs[role]["spec"]["maxFailedIndexes"]) == (0, 2)
    assert jobs["chief"]["spec"]["backoffLimit"] == 0
    # Replaced within the attempt, a chief would find nobody.
    assert [rule["action"] for rule in jobs["chief"]["spec"]["podFailurePolicy"]["rules"]] == ["FailJob", "FailJob"]


def test_only_the_chief_has_data_and_store_and_only_workers_have_gpus() -> None:
    jobs = jobs_of()
    volumes = {role: {each["name"]: each for each in pod_of(jobs[role])["volumes"]} for role in ROLES}
    limits = {role: pod_of(jobs[role])["containers"][0]["resources"].get("limits") for role in ROLES}

    assert volumes["chief"]["store"]["persistentVolumeClaim"] == {"claimName": "models"}
    for role in ("worker", "ps"):
        assert volumes[role]["store"] == {"name": "store", "emptyDir": {}}
        assert "data" not in volumes[role]
    assert limits == {"chief": None, "worker": {"nvidia.com/gpu": "1"}, "ps": {"memory": "4Gi"}}
    images = {role: pod_of(jobs[role])["containers"][0]["image"] for role in ROLES}
    assert images == {"chief": "trainer:test", "worker": "trainer:test-gpu", "ps": "trainer:test"}


def test_a_program_of_ones_own_has_data_and_store_in_every_pod() -> None:
    own = SERVERS.with_container(image="me/train:1")

    assert all("data" in {each["name"] for each in pod_of(job)["volumes"]} for job in jobs_of(own).values())


@pytest.mark.parametrize(
    ("roles", "strategy"),
    [
        ({}, "Single"),
        ({"worker": {"gpus": 1}}, "Single"),
        ({"worker": {"gpus": 2}}, "Mirrored"),
        ({"worker": {"replicas": 2, "gpus": 2}}, "MultiWorkerMirrored"),
        ({"ps": {}}, "ParameterServer"),
    ],
)
def test_the_roles_make_the_strategy(roles: dict[str, Any], strategy: str) -> None:
    assert Roles.model_validate(roles).strategy() == strategy


async def test_the_chief_comes_first_and_all_are_found_by_one_service() -> None:
    world = Servers().put(SERVERS)

    await world.settle()

    created = [each["metadata"]["name"] for each in world.cluster.peek(JOB)]
    assert created == ["churn-chief-0", "churn-ps-0", "churn-worker-0"]
    assert world.cluster.calls.index(("create", "services")) < world.cluster.calls.index(("create", "jobs"))
    assert len(world.cluster.peek(SERVICE)) == len(world.cluster.peek(NETWORK_POLICY)) == 1
    assert (world.status()["strategy"], world.status()["gpus"]) == ("ParameterServer", 2)
    writes = len(world.cluster.writes)
    await world.settle()
    assert len(world.cluster.writes) == writes


async def test_an_operator_that_died_in_between_brings_the_other_roles() -> None:
    world = Servers().put(SERVERS)
    await world.settle()
    world.cluster.remove(JOB, NAMESPACE, "churn-worker-0")

    await world.restart().settle()

    assert world.jobs() == ["churn-chief-0", "churn-ps-0", "churn-worker-0"]


async def test_a_lost_worker_does_not_end_the_attempt() -> None:
    world = Servers().put(SERVERS)
    await world.all_running()
    world.end_role("worker", index=1, code=137)

    await world.later(minutes=5).settle()

    assert [attempt["outcome"] for attempt in world.status()["attempts"]] == ["Running"]
    assert world.jobs() == ["churn-chief-0", "churn-ps-0", "churn-worker-0"]


async def test_servers_go_when_the_chief_has_ended_well() -> None:
    world = Servers().put(SERVERS)
    await world.all_running()
    world.end_role("worker", index=0)
    world.end_role("worker", index=1)
    world.end_chief(code=0, message=a_report())

    await world.settle()

    assert world.status()["phase"] == "Succeeded"
    # A parameter server never ends by itself.
    assert "churn-ps-0" not in world.jobs()
    assert "churn-chief-0" in world.jobs()


async def test_the_next_attempt_waits_until_all_pods_of_the_last_are_gone() -> None:
    world = Servers().put(SERVERS)
    await world.all_running()
    world.end_chief(code=69, message="lost parameter server 0")

    await world.settle()

    attempt = world.status()["attempts"][0]
    assert (attempt["outcome"], attempt["exitCode"]) == ("Failed", 69)
    assert world.status()["failure"]["role"] == "chief"
    await world.later(minutes=1).settle()
    assert world.jobs() == ["churn-chief-0", "churn-chief-1", "churn-ps-1", "churn-worker-1"]


async def test_a_pause_suspends_all_roles_and_resumes_them() -> None:
    world = Servers().put(SERVERS)
    await world.all_running()

    world.update_spec(suspend=True)
    await world.settle()
    assert {job["spec"]["suspend"] for job in world.cluster.peek(JOB)} == {True}
    world.update_spec(suspend=False)
    await world.settle()

    assert {job["spec"]["suspend"] for job in world.cluster.peek(JOB)} == {False}


async def test_what_keeps_a_server_from_coming_is_said_with_its_role() -> None:
    world = Servers().put(SERVERS)
    await world.settle()
    world.create_role("chief")
    world.create_role("ps")
    refusal = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    pending = {"phase": "Pending", "conditions": [refusal]}
    world.cluster.set_status(POD, NAMESPACE, "churn-ps-0-0-abcde", pending)

    await world.settle()

    running = world.conditions()["Running"]
    assert running["reason"] == "Unschedulable"
    assert "spec.roles.ps.resources" in running["message"]


OWN = SERVERS.with_spec(
    program={"container": {"image": "me/train:1"}},
    roles={"worker": {"replicas": 2, "gpus": 1}, "chief": {"gpus": 4}, "ps": {"replicas": 3, "gpus": 2}},
)


def test_gpus_of_a_program_of_the_users_own_are_those_of_all_roles() -> None:
    job = TrainingJob.model_validate(OWN.build())
    gpus = {role: pod_of(each)["containers"][0]["resources"]["limits"] for role, each in jobs_of(OWN).items()}

    assert gpus == {role: {"nvidia.com/gpu": count} for role, count in {"chief": "4", "worker": "1", "ps": "2"}.items()}
    assert job.spec.roles.gpus == 4 + 2 * 1 + 3 * 2
    assert not [
        variable
        for each in jobs_of(OWN).values()
        for variable in pod_of(each)["containers"][0]["env"]
        if variable["name"] == "NVIDIA_VISIBLE_DEVICES"
    ]


async def test_a_profile_limits_the_gpus_of_all_roles_and_the_status_counts_them() -> None:
    world = Servers().put(OWN)
    world.cluster.put(
        TRAINING_PROFILE, {"metadata": {"name": "small"}, "spec": {"default": True, "limits": {"maxGpus": 11}}}
    )
    await world.settle()
    assert world.conditions()["Stalled"]["reason"] == "ProfileLimit"
    assert "allows 11 GPUs, and all pods together ask for 12" in world.conditions()["Stalled"]["message"]

    world.cluster.put(
        TRAINING_PROFILE, {"metadata": {"name": "small"}, "spec": {"default": True, "limits": {"maxGpus": 12}}}
    )
    await world.later(minutes=1).settle()
    assert world.status()["gpus"] == 12
