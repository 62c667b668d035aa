"""Jobs, Deployments, endpoints and garbage collection: what an operator builds on, on whatever cluster it is."""

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from support.kube_api import Api, Object
from support.manifests import a_shell

FOREVER = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"


def a_pod_spec(script: str = FOREVER, **container: Any) -> Object:
    return {"containers": [a_shell(script, **container)], "terminationGracePeriodSeconds": 2}


def a_job(name: str, script: str, **spec: Any) -> Object:
    template = {"spec": a_pod_spec(script) | {"restartPolicy": "Never"}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": template} | spec,
    }


def a_deployment(name: str, *, replicas: int = 2, container: Object | None = None, **spec: Any) -> Object:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": a_pod_spec(**(container or {}))},
        }
        | spec,
    }


def a_config_map(name: str, *, owner: Object | None = None, blocks: bool = False, **metadata: Any) -> Object:
    references = []
    if owner:
        reference = {key: owner["metadata"][key] for key in ("name", "uid")}
        references = [{"apiVersion": "v1", "kind": "ConfigMap", "blockOwnerDeletion": blocks} | reference]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "ownerReferences": references} | metadata,
    }


def holds(kind: str, *reasons: str) -> Any:
    def has_condition(found: Object) -> bool:
        conditions = (found.get("status") or {}).get("conditions") or ()
        return any(
            entry["type"] == kind
            and entry["status"] == "True"
            and entry.get("reason") in (reasons or [entry["reason"]])
            for entry in conditions
        )

    has_condition.__name__ = f"it is {kind} {' or '.join(reasons)}".strip()
    return has_condition


def is_rolled_out(found: Object) -> bool:
    status, replicas = found.get("status") or {}, found["spec"]["replicas"]
    counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")]
    return status.get("observedGeneration") == found["metadata"]["generation"] and counts == [replicas] * 4


def pods_of(api: Api, name: str, label: str = "app") -> list[Object]:
    return api.list("v1", "Pod", label_selector=f"{label}={name}")


def test_an_indexed_job_runs_every_index_once_under_its_own_hostname(api: Api) -> None:
    script = "echo index $JOB_COMPLETION_INDEX of $WHO"
    job = a_job("indexed", script, completions=3, parallelism=3, completionMode="Indexed")
    field = {"fieldRef": {"fieldPath": "metadata.name"}}
    job["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "WHO", "valueFrom": field}]
    api.create(job)
    status = api.wait_for(job, holds("Complete"))["status"]
    assert (status["succeeded"], status["completedIndexes"], status.get("active", 0)) == (3, "0-2", 0)
    assert status["startTime"] <= status["completionTime"]
    pods = sorted(pods_of(api, "indexed", "job-name"), key=lambda pod: pod["spec"]["hostname"])
    assert [pod["spec"]["hostname"] for pod in pods] == ["indexed-0", "indexed-1", "indexed-2"]
    for index, pod in enumerate(pods):
        name = pod["metadata"]["name"]
        assert api.logs(name) == f"index {index} of {name}\n"
        assert "batch.kubernetes.io/job-tracking" not in pod["metadata"].get("finalizers", [])


def test_a_job_that_may_not_fail_fails_with_its_first_pod(api: Api) -> None:
    job = a_job("failing", "exit 1")
    api.create(job)
    assert api.wait_for(job, holds("Failed", "BackoffLimitExceeded"))["status"]["failed"] == 1
    api.wait_for_event("failing", "BackoffLimitExceeded")


@pytest.mark.parametrize("code", [2, 3])
def test_a_failure_policy_fails_the_job_at_once_by_exit_code(api: Api, code: int) -> None:
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2, 3]}}
    job = a_job("policy", f"exit {code}", backoffLimit=5, podFailurePolicy={"rules": [rule]})
    api.create(job)
    found = api.wait_for(job, holds("Failed", "PodFailurePolicy"))
    [failed] = [entry for entry in found["status"]["conditions"] if entry["type"] == "Failed"]
    assert f"failed with exit code {code} matching FailJob rule at index 0" in failed["message"]
    assert len(pods_of(api, "policy", "job-name")) == 1


def test_a_suspended_job_starts_when_it_is_resumed(api: Api) -> None:
    job = a_job("suspended", "true", suspend=True)
    api.create(job)
    api.wait_for(job, holds("Suspended", "JobSuspended"))
    assert pods_of(api, "suspended", "job-name") == []
    api.patch(job, {"spec": {"suspend": False}})
    assert api.wait_for(job, holds("Complete"))["status"]["succeeded"] == 1


def test_a_finished_job_goes_with_its_pods_when_its_time_is_over(api: Api) -> None:
    job = a_job("short-lived", "true", ttlSecondsAfterFinished=1)
    api.create(job)
    api.wait_until_gone(job)
    assert pods_of(api, "short-lived", "job-name") == []


def test_a_deadline_stops_a_jobs_pods(api: Api) -> None:
    job = a_job("late", FOREVER, activeDeadlineSeconds=1)
    api.create(job)
    status = api.wait_for(job, holds("Failed", "DeadlineExceeded"))["status"]
    assert status.get("active", 0) == 0


def test_deleting_a_job_deletes_its_pods_unless_they_are_left_orphans(api: Api, api_client: client.ApiClient) -> None:
    jobs = [a_job(name, FOREVER) for name in ("taken", "left")]
    for job in jobs:
        api.create(job)
        api.wait_for(job, lambda found: found.get("status", {}).get("ready") == 1, description="its pod is ready")
    [taken], [left] = pods_of(api, "taken", "job-name"), pods_of(api, "left", "job-name")
    api.delete(jobs[0])
    batch = client.BatchV1Api(api_client)
    batch.delete_namespaced_job("left", api.namespace, propagation_policy="Orphan")
    api.wait_until_gone(named(taken))
    api.wait_until_gone(jobs[1])
    api.wait_for(named(left), lambda pod: not pod["metadata"].get("ownerReferences"), description="it has no owner")
    api.delete(named(left))
    api.wait_until_gone(named(left))


def named(found: Object) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": found["metadata"]["name"]}}


def test_a_deployment_replaces_its_pods_and_keeps_its_revisions(api: Api) -> None:
    deployment = a_deployment("web", replicas=2)
    api.create(deployment)
    api.wait_for(deployment, is_rolled_out)
    [first] = api.list("apps/v1", "ReplicaSet", label_selector="app=web")
    template = {"metadata": {"annotations": {"version": "2"}}}
    api.patch(deployment, {"spec": {"template": template}})
    found = api.wait_for(deployment, is_rolled_out)
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    api.patch(deployment, {"spec": {"template": {"metadata": {"annotations": None}}}})
    found = api.wait_for(deployment, is_rolled_out)
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    sets = {entry["metadata"]["name"]: entry for entry in api.list("apps/v1", "ReplicaSet", label_selector="app=web")}
    assert len(sets) == 2
    assert sets[first["metadata"]["name"]]["spec"]["replicas"] == 2


def test_a_version_that_never_becomes_ready_takes_nothing_from_the_one_that_is(api: Api) -> None:
    deployment = a_deployment("stuck", replicas=2, progressDeadlineSeconds=3)
    deployment["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    api.create(deployment)
    api.wait_for(deployment, is_rolled_out)
    broken = a_pod_spec(readinessProbe={"exec": {"command": ["false"]}, "periodSeconds": 1})
    api.patch(deployment, {"spec": {"template": {"spec": broken}}})

    def is_stuck(found: Object) -> bool:
        conditions = found.get("status", {}).get("conditions", [])
        return any(entry.get("reason") == "ProgressDeadlineExceeded" for entry in conditions)

    status = api.wait_for(deployment, is_stuck)["status"]
    assert (status["availableReplicas"], status["replicas"], status["updatedReplicas"]) == (2, 3, 1)
    assert holds("Available")({"status": status})


def test_a_recreate_ends_the_old_pods_before_it_starts_new_ones(api: Api) -> None:
    deployment = a_deployment("recreate", replicas=1, strategy={"type": "Recreate"})
    api.create(deployment)
    api.wait_for(deployment, is_rolled_out)
    [old] = pods_of(api, "recreate")
    api.patch(deployment, {"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}})
    api.wait_for(deployment, is_rolled_out)
    [new] = pods_of(api, "recreate")
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert api.get(named(old)) is None


def test_a_deployment_is_scaled_up_and_down(api: Api, api_client: client.ApiClient) -> None:
    deployment = a_deployment("scaled", replicas=1)
    api.create(deployment)
    api.wait_for(deployment, is_rolled_out)
    apps = client.AppsV1Api(api_client)
    for replicas in (3, 0):
        apps.patch_namespaced_deployment_scale("scaled", api.namespace, {"spec": {"replicas": replicas}})
        api.wait_for(
            deployment,
            lambda found, wanted=replicas: found["spec"]["replicas"] == wanted and is_rolled_out(found),  # type: ignore[misc]
            description=f"it has {replicas} replicas",
        )
    api.wait_for_event("scaled", "ScalingReplicaSet", containing="to 3")


def test_endpoints_are_the_pods_that_are_ready(api: Api) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "behind"},
        "spec": {"selector": {"app": "behind"}, "ports": [{"name": "http", "port": 80, "targetPort": "web"}]},
    }
    ports = [{"name": "web", "containerPort": 8080}]
    unready = {"exec": {"command": ["false"]}}
    api.create(service)
    api.create(a_deployment("behind", replicas=2, container={"ports": ports}))
    other = a_deployment("unready", replicas=1, container={"ports": ports, "readinessProbe": unready})
    other["spec"]["template"]["metadata"]["labels"] = {"app": "behind", "part": "unready"}
    other["spec"]["selector"]["matchLabels"] = {"app": "behind", "part": "unready"}
    api.create(other)
    [ready, not_ready] = wait_for_endpoints(api, "behind", ready=2, not_ready=1)
    ips = {pod["status"]["podIP"]: pod["metadata"]["labels"] for pod in pods_of(api, "behind")}
    assert all("part" not in ips[entry["addresses"][0]] for entry in ready)
    assert all("part" in ips[entry["addresses"][0]] for entry in not_ready)
    assert {port["port"] for entry in slices_of(api, "behind") for port in entry["ports"]} == {8080}
    api.delete(service)
    wait_until(lambda: not slices_of(api, "behind"), api, service)


def slices_of(api: Api, service: str) -> list[Object]:
    return api.list("discovery.k8s.io/v1", "EndpointSlice", label_selector=f"kubernetes.io/service-name={service}")


def wait_for_endpoints(api: Api, service: str, *, ready: int, not_ready: int) -> list[list[Object]]:
    sides: list[list[Object]] = [[], []]

    def are_there() -> bool:
        found = [endpoint for entry in slices_of(api, service) for endpoint in entry.get("endpoints") or ()]
        sides[:] = [[entry for entry in found if entry["conditions"]["ready"] is side] for side in (True, False)]
        return [len(side) for side in sides] == [ready, not_ready]

    wait_until(are_there, api, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": service}})
    return sides


def wait_until(is_so: Any, api: Api, about: Object) -> None:
    """Wait for something that is not one object's state; the wait is spent looking at the namespace itself."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": api.namespace}}
    api.wait_for(namespace, lambda _: is_so(), description=f"{about['metadata']['name']} is as expected")


def test_what_an_object_owns_goes_with_it(api: Api) -> None:
    owner = api.create(a_config_map("owner"))
    other = api.create(a_config_map("other"))
    api.create(a_config_map("owned", owner=owner))
    both = a_config_map("of-both", owner=owner)
    both["metadata"]["ownerReferences"] += a_config_map("x", owner=other)["metadata"]["ownerReferences"]
    api.create(both)
    api.delete(a_config_map("owner"))
    api.wait_until_gone(a_config_map("owned"))
    kept = api.wait_for(
        both, lambda found: len(found["metadata"]["ownerReferences"]) == 1, description="one owner left"
    )
    assert kept["metadata"]["ownerReferences"][0]["name"] == "other"


def test_an_object_of_an_owner_that_never_was_goes_too(api: Api) -> None:
    ghost = {"metadata": {"name": "ghost", "uid": "00000000-0000-4000-8000-000000000000"}}
    api.create(a_config_map("haunted", owner=ghost))
    api.wait_until_gone(a_config_map("haunted"))


@pytest.fixture
def gadget(api: Api) -> Iterator[Object]:
    """A custom resource of the test's own: a kind that the cluster learns of while it runs."""
    group = f"{api.namespace}.trainyard.dev"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"gadgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    try:
        api.create(definition)
        api.wait_for(definition, holds("Established"))
        yield api.create({"apiVersion": f"{group}/v1", "kind": "Gadget", "metadata": {"name": "gadget"}})
    finally:
        api.delete(definition)


def test_what_a_custom_resource_owns_goes_with_it(api: Api, gadget: Object) -> None:
    reference = {key: gadget[key] for key in ("apiVersion", "kind")}
    reference |= {key: gadget["metadata"][key] for key in ("name", "uid")}
    api.create(a_config_map("owned") | {"metadata": {"name": "owned", "ownerReferences": [reference]}})
    api.delete(gadget)
    api.wait_until_gone(a_config_map("owned"))


def test_a_foreground_deletion_waits_for_what_blocks_it(api: Api, api_client: client.ApiClient) -> None:
    owner = api.create(a_config_map("owner"))
    api.create(a_config_map("blocking", owner=owner, blocks=True, finalizers=["example.com/held"]))
    core = client.CoreV1Api(api_client)
    core.delete_namespaced_config_map("owner", api.namespace, propagation_policy="Foreground")
    api.wait_for(a_config_map("blocking"), lambda found: found["metadata"].get("deletionTimestamp"))
    still = api.get(a_config_map("owner"))
    assert still is not None
    assert still["metadata"]["finalizers"] == ["foregroundDeletion"]
    api.patch(a_config_map("blocking"), {"metadata": {"finalizers": None}})
    api.wait_until_gone(a_config_map("owner"))


def test_a_namespace_has_its_account_and_the_clusters_certificate(api: Api) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    api.wait_for(account, bool)
    found = api.wait_for(a_config_map("kube-root-ca.crt"), bool)
    assert found["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")
    api.delete(account)
    api.wait_for(account, bool, description="it is made anew")


def test_a_namespace_takes_everything_with_it_but_waits_for_finalizers(api: Api, api_client: client.ApiClient) -> None:
    inner = Api(api_client, f"{api.namespace}-inner")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": inner.namespace}}
    api.create(namespace)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    inner.wait_for(account, bool)
    deployment = a_deployment("web", replicas=1)
    inner.create(deployment)
    inner.create(a_config_map("held", finalizers=["example.com/held"]))
    inner.wait_for(deployment, is_rolled_out)
    api.delete(namespace)
    inner.wait_until_gone(deployment)
    assert api.wait_for(namespace, bool)["status"]["phase"] == "Terminating"
    inner.patch(a_config_map("held"), {"metadata": {"finalizers": None}})
    api.wait_until_gone(namespace)


def test_a_disruption_budget_says_how_many_pods_may_go(api: Api) -> None:
    api.create(a_deployment("guarded", replicas=2))
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "guarded"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "guarded"}}},
    }
    api.create(budget)
    status = api.wait_for(
        budget,
        lambda found: (found.get("status") or {}).get("currentHealthy") == 2,
        description="both pods are healthy",
    )["status"]
    assert (status["expectedPods"], status["desiredHealthy"], status["disruptionsAllowed"]) == (2, 1, 1)
