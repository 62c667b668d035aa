"""The built-in kinds: their defaults, what the server decides, and the rules people break."""

from typing import Any

import pytest

from support.objects import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    SERVICES,
    a_config_map,
    a_container,
    a_deployment,
    a_job,
    a_pod,
    a_service,
)
from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.expiry import forget_old_events
from trainyard_devcluster.apiserver.quantities import canonical
from trainyard_devcluster.apiserver.values import dig

from .conftest import Api, Clock, Object

NAMESPACE = "/api/v1/namespaces/default"
CLAIMS = f"{NAMESPACE}/persistentvolumeclaims"


def pod_with(**container: Any) -> Object:
    return a_pod(containers=[a_container(**container)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (1, "1"), (0.5, "500m"), ("1000m", "1"), ("1500m", "1500m"), ("1024Mi", "1Gi"), ("1536Mi", "1536Mi"),
        ("1000", "1k"), ("1024", "1024"), ("0.1", "100m"), ("1.5Gi", "1536Mi"), ("1e3", "1e3"), ("0", "0"),
        ("0.5Ki", "512"),
 ("100k", "100k"), ("1000k", "1M"), ("not", "not"),
    ],
)  # fmt: skip
def test_quantities_have_one_form(text: str | float, expected: str) -> None:
    assert canonical(text) == expected


async def test_a_pod_is_filled_in(api: Api) -> None:
    pod = await api.post(PODS, pod_with(ports=[{"containerPort": 80}], resources={"limits": {"cpu": 0.5}}))
    spec = pod["spec"]
    (container,) = spec["containers"]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert container["resources"] == {"limits": {"cpu": "500m"}, "requests": {"cpu": "500m"}}
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["terminationMessagePath"] == "/dev/termination-log"
    filled = ("restartPolicy", "terminationGracePeriodSeconds", "dnsPolicy", "schedulerName", "serviceAccountName")
    assert [spec[field] for field in filled] == ["Always", 30, "ClusterFirst", "default-scheduler", "default"]
    assert (spec["priority"], len(spec["tolerations"])) == (0, 2)
    assert pod["status"] == {"phase": "Pending", "qosClass": "Burstable"}
    assert pod["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("x", "Always"),
        ("x:latest", "Always"),
        ("x:1", "IfNotPresent"),
        ("host:5000/x", "Always"),
        ("x@sha256:a", "IfNotPresent"),
    ],
)
async def test_an_image_without_a_tag_is_always_pulled(api: Api, image: str, policy: str) -> None:
    pod = await api.post(PODS, pod_with(image=image))
    assert pod["spec"]["containers"][0]["imagePullPolicy"] == policy


async def test_probes_and_volumes_are_filled_in(api: Api) -> None:
    probe = {"httpGet": {"port": 8080}}
    volumes = [{"name": "a"}, {"name": "b", "configMap": {"name": "c"}}]
    pod = await api.post(PODS, a_pod(containers=[a_container(readinessProbe=probe)], volumes=volumes))
    filled = pod["spec"]["containers"][0]["readinessProbe"]
    assert filled == {
        "httpGet": {"port": 8080, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert pod["spec"]["volumes"] == [
        {"name": "a", "emptyDir": {}},
        {"name": "b", "configMap": {"name": "c", "defaultMode": 420}},
    ]


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
        ({"limits": {"nvidia.com/gpu": 1}}, "BestEffort"),
    ],
)
async def test_resources_make_a_quality_of_service(api: Api, resources: Object, quality: str) -> None:
    assert (await api.post(PODS, pod_with(resources=resources)))["status"]["qosClass"] == quality


async def test_a_pod_needs_its_account(api: Api) -> None:
    refused = await api.call("POST", PODS, a_pod(serviceAccountName="none"))
    assert refused.code == 403
    assert refused.message == (
        'pods "worker" is forbidden: error looking up service account default/none: serviceaccount "none" not found'
    )


async def test_a_priority_class_gives_its_value(api: Api) -> None:
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
    await api.post(classes, {"metadata": {"name": "high"}, "value": 1000})
    assert (await api.post(PODS, a_pod(priorityClassName="high")))["spec"]["priority"] == 1000
    refused = await api.call("POST", PODS, a_pod("other", priorityClassName="none"))
    assert (refused.code, refused.message) == (
        403,
        'pods "other" is forbidden: no PriorityClass with name none was found',
    )


@pytest.mark.parametrize(
    ("pod", "error"),
    [
        (a_pod(containers=[]), "spec.containers: Required value"),
        (pod_with(name="A"), "spec.containers[0].name: Invalid value: \"A\": a lowercase RFC 1123 label must"),
        (a_pod(containers=[{"name": "a"}]), "spec.containers[0].image: Required value"),
        (a_pod(containers=[a_container(), a_container()]), 'spec.containers[1].name: Duplicate value: "main"'),
        (a_pod(restartPolicy="Sometimes"),
         'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always"'),
        (pod_with(ports=[{"containerPort": 99999}]),
         "spec.containers[0].ports[0].containerPort: Invalid value: 99999: must be between 1 and 65535, inclusive"),
        (pod_with(ports=[{"containerPort": 1, "name": "UPPER"}]), "spec.containers[0].ports[0].name: Invalid value"),
        (pod_with(ports=[{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]),
         'spec.containers[0].ports[1].name: Duplicate value: "a"'),
        (pod_with(env=[{"name": "A=B"}]), "spec.containers[0].env[0].name: Invalid value"),
        (pod_with(env=[{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
         "spec.containers[0].env[0].valueFrom: Invalid value"),
        (pod_with(volumeMounts=[{"name": "none", "mountPath": "/x"}]),
         'spec.containers[0].volumeMounts[0].name: Not found: "none"'),
        (pod_with(resources={"limits": {"cpu": "lots"}}), "spec.containers[0].resources.limits[cpu]: Invalid value"),
        (pod_with(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}),
         'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'),
        (pod_with(resources={"requests": {"nvidia.com/gpu": "1"}}),
         "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources"),
        (pod_with(resources={"limits": {"nvidia.com/gpu": "0.5"}}), "must be an integer"),
        (pod_with(readinessProbe={}), "spec.containers[0].readinessProbe: Required value: must specify a handler type"),
        (pod_with(livenessProbe={"exec": {"command": ["x"]}, "tcpSocket": {"port": 1}}), "may not specify more than 1"),
        (a_pod(volumes=[{"name": "a"}, {"name": "a"}]), 'spec.volumes[1].name: Duplicate value: "a"'),
        (a_pod(volumes=[{"name": "a", "emptyDir": {}, "configMap": {"name": "x"}}]), "more than 1 volume type"),
        (a_pod(activeDeadlineSeconds=0), "spec.activeDeadlineSeconds: Invalid value: 0"),
    ],
)  # fmt: skip
async def test_a_pod_that_cannot_run_is_refused(api: Api, pod: Object, error: str) -> None:
    refused = await api.call("POST", PODS, pod)
    assert refused.code == 422
    assert error in refused.message


async def test_a_pod_changes_little(api: Api) -> None:
    await api.post(PODS, a_pod())
    await api.patch(f"{PODS}/worker", [{"op": "replace", "path": "/spec/containers/0/image", "value": "x:2"}],
                    "application/json-patch+json")  # fmt: skip
    refused = await api.call("PATCH", f"{PODS}/worker", {"spec": {"restartPolicy": "Never"}},
                             content_type="application/merge-patch+json")  # fmt: skip
    assert (refused.code, refused.causes[0]["reason"]) == (422, "FieldValueForbidden")


async def test_a_deployment_is_filled_in(api: Api) -> None:
    spec = (await api.post(DEPLOYMENTS, a_deployment()))["spec"]
    assert (spec["replicas"], spec["progressDeadlineSeconds"], spec["revisionHistoryLimit"]) == (1, 600, 10)
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"selector": {"matchLabels": {"app": "x"}}},
         'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`'),
        ({"selector": None}, "spec.selector: Required value"),
        ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ({"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}},
         "spec.strategy.rollingUpdate: Forbidden"),
        ({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}}, "may not be 0 when `maxSurge` is 0"),
        ({"strategy": {"rollingUpdate": {"maxSurge": "many"}}}, "a valid percent string must be"),
    ],
)  # fmt: skip
async def test_a_deployment_that_cannot_work_is_refused(api: Api, spec: Object, error: str) -> None:
    refused = await api.call("POST", DEPLOYMENTS, a_deployment(**spec))
    assert refused.code == 422
    assert error in refused.message


@pytest.mark.parametrize(
    ("path", "made", "change", "field"),
    [
        (DEPLOYMENTS, a_deployment(), {"spec": {"selector": {"matchLabels": {"tier": "x"}}}}, "spec.selector"),
        (SERVICES, a_service(), {"spec": {"clusterIP": "127.32.9.9"}}, "spec.clusterIPs[0]"),
        (JOBS, a_job(), {"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}}, "spec.template"),
        (JOBS, a_job(), {"spec": {"completions": 3}}, "spec.completions"),
        (CONFIG_MAPS, a_config_map(a="1") | {"immutable": True}, {"data": {"a": "2"}}, "data"),
        (f"{NAMESPACE}/secrets", {"metadata": {"name": "s"}}, {"type": "other"}, "type"),
        (CLAIMS, {"metadata": {"name": "c"},
                  "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
         {"spec": {"accessModes": ["ReadWriteMany"]}}, "spec"),
    ],
)  # fmt: skip
async def test_some_fields_never_change(api: Api, path: str, made: Object, change: Object, field: str) -> None:
    created = await api.post(path, made)
    answer = await api.call("PATCH", f"{path}/{created['metadata']['name']}", change,
                            content_type="application/merge-patch+json")  # fmt: skip
    assert answer.code == 422
    assert field in [cause["field"] for cause in answer.causes]


@pytest.mark.parametrize(
    ("requirement", "error"),
    [
        pytest.param({"key": "pool", "operator": "Is", "values": ["a"]},
                     '.operator: Invalid value: "Is": not a valid selector operator', id="unknown"),
        pytest.param({"key": "pool", "operator": "In"},
                     ".values: Required value: must be specified when `operator` is 'In' or 'NotIn'", id="no values"),
        pytest.param({"key": "pool", "operator": "Exists", "values": ["a"]},
                     ".values: Forbidden: may not be specified when `operator` is 'Exists'", id="values"),
        pytest.param({"key": "pool", "operator": "Gt", "values": ["1", "2"]},
                     ".values: Required value: must be specified single value", id="two values"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("required", [True, False], ids=["required", "preferred"])
async def test_a_node_affinity_that_means_nothing_is_refused(
    api: Api, requirement: Object, error: str, required: bool
) -> None:
    term = {"matchExpressions": [requirement]}
    affinity: Object = (
        {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
        if required
        else {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": term}]}
    )
    spec = {"restartPolicy": "Never", "containers": [a_container()], "affinity": {"nodeAffinity": affinity}}
    refused = await api.call("POST", JOBS, a_job(template={"spec": spec}))
    assert refused.code == 422
    assert f".matchExpressions[0]{error}" in refused.message


async def test_a_job_gets_a_selector_of_its_own(api: Api) -> None:
    job = await api.post(JOBS, a_job())
    spec, uid = job["spec"], job["metadata"]["uid"]
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert spec["template"]["metadata"]["labels"] == {
        "batch.kubernetes.io/controller-uid": uid,
        "controller-uid": uid,
        "batch.kubernetes.io/job-name": "train",
        "job-name": "train",
    }
    filled = ("completions", "parallelism", "backoffLimit", "completionMode", "suspend", "podReplacementPolicy")
    assert [spec[field] for field in filled] == [1, 1, 6, "NonIndexed", False, "TerminatingOrFailed"]
    assert job["status"] == {}


async def test_a_job_can_be_replaced_by_what_made_it(api: Api) -> None:
    created = await api.post(JOBS, a_job())
    again = await api.put(f"{JOBS}/train", a_job())
    assert again["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]
    suspended = await api.patch(f"{JOBS}/train", {"spec": {"suspend": True}})
    assert suspended["metadata"]["generation"] == 2


async def test_a_suspended_job_may_be_sent_elsewhere(api: Api) -> None:
    await api.post(JOBS, a_job(suspend=True))
    change = {"spec": {"template": {"spec": {"nodeSelector": {"zone": "a"}}}}}
    assert dig(await api.patch(f"{JOBS}/train", change), "spec", "template", "spec", "nodeSelector") == {"zone": "a"}


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"completionMode": "Indexed", "parallelism": 2}, "spec.completions: Required value: when completion mode is"),
        ({"backoffLimit": -1}, "spec.backoffLimit: Invalid value: -1"),
        ({"podFailurePolicy": {"rules": [{"action": "Explode", "onExitCodes": {"operator": "In", "values": [1]}}]}},
         "spec.podFailurePolicy.rules[0].action: Unsupported value"),
        ({"podFailurePolicy": {"rules": [{"action": "Ignore"}]}}, "specifying one of OnExitCodes and OnPodConditions"),
        ({"podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [0]}}]}},
         "must not be 0 for the In operator"),
        ({"backoffLimitPerIndex": 1}, "requires indexed completion mode"),
    ],
)  # fmt: skip
async def test_a_job_that_cannot_work_is_refused(api: Api, spec: Object, error: str) -> None:
    refused = await api.call("POST", JOBS, a_job(**spec))
    assert refused.code == 422
    assert error in refused.message


async def test_a_job_never_restarts_always(api: Api) -> None:
    refused = await api.call("POST", JOBS, a_job(template={"spec": {"containers": [a_container()]}}))
    assert 'restartPolicy: Required value: valid values: "OnFailure", "Never"' in refused.message


async def test_services_get_addresses_that_nobody_has(api: Api) -> None:
    first, second = await api.post(SERVICES, a_service("a")), await api.post(SERVICES, a_service("b"))
    assert first["spec"]["clusterIP"] == "127.32.0.2"
    assert second["spec"]["clusterIPs"] == ["127.32.0.3"]
    assert first["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    headless = await api.post(SERVICES, a_service("c", clusterIP="None"))
    assert headless["spec"]["clusterIPs"] == ["None"]
    taken = await api.call("POST", SERVICES, a_service("d", clusterIP="127.32.0.2"))
    assert (taken.code, "already allocated" in taken.message) == (422, True)
    await api.delete(f"{SERVICES}/a")
    assert (await api.post(SERVICES, a_service("e")))["spec"]["clusterIP"] == "127.32.0.2"


async def test_node_ports_are_given_and_kept(api: Api) -> None:
    created = await api.post(SERVICES, a_service(type="NodePort"))
    (port,) = created["spec"]["ports"]
    assert 30000 <= port["nodePort"] < 32768
    replaced = await api.put(f"{SERVICES}/web", a_service(type="NodePort"))
    assert replaced["spec"]["ports"] == [port]


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"ports": []}, "spec.ports: Required value"),
        ({"ports": [{"port": 1}, {"port": 2}]}, "spec.ports[0].name: Required value"),
        ({"ports": [{"port": 0}]}, "spec.ports[0].port: Invalid value: 0"),
        ({"type": "Strange"}, "spec.type: Unsupported value"),
        ({"clusterIP": "here"}, "must be a valid IP address"),
    ],
)
async def test_a_service_that_cannot_work_is_refused(api: Api, spec: Object, error: str) -> None:
    refused = await api.call("POST", SERVICES, a_service(**spec))
    assert refused.code == 422
    assert error in refused.message


async def test_a_services_name_is_a_dns_label(api: Api) -> None:
    assert "a DNS-1035 label must consist of" in (await api.call("POST", SERVICES, a_service("1web"))).message


async def test_a_secrets_text_becomes_data(api: Api) -> None:
    secret = await api.post(f"{NAMESPACE}/secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    assert (secret["data"], secret["type"], "stringData" in secret) == ({"a": "Yg=="}, "Opaque", False)
    broken = await api.call("POST", f"{NAMESPACE}/secrets", {"metadata": {"name": "t"}, "data": {"a": "?"}})
    assert broken.code == 422


async def test_a_namespace_is_held_until_its_content_is_gone(api: Api) -> None:
    path = "/api/v1/namespaces/team"
    created = await api.post("/api/v1/namespaces", {"metadata": {"name": "team"}})
    assert (created["spec"], created["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})
    assert created["metadata"]["labels"] == {"kubernetes.io/metadata.name": "team"}
    going = await api.delete(path)
    assert going["status"]["phase"] == "Terminating"
    refused = await api.call("POST", f"{path}/configmaps", a_config_map())
    assert (refused.code, refused.causes[0]["reason"]) == (403, "NamespaceTerminating")
    await api.put(f"{path}/finalize", going | {"spec": {"finalizers": []}})
    assert (await api.call("GET", path)).code == 404


async def test_events_are_one_in_two_versions(api: Api) -> None:
    event = {
        "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "name": "worker", "namespace": "default"},
        "reason": "Started", "message": "all is well", "type": "Normal", "source": {"component": "kubelet"},
    }  # fmt: skip
    await api.post(f"{NAMESPACE}/events", event)
    new = await api.get("/apis/events.k8s.io/v1/namespaces/default/events/e")
    assert (new["regarding"]["name"], new["note"], new["reportingController"]) == ("worker", "all is well", "kubelet")
    newer = {
        "metadata": {"name": "f"}, "eventTime": "2026-11-24T12:00:00.000000Z", "reason": "Ended", "note": "done",
        "regarding": {"kind": "Pod", "name": "worker", "namespace": "default"}, "type": "Warning",
        "reportingController": "us", "reportingInstance": "us-1", "action": "End",
    }  # fmt: skip
    await api.post("/apis/events.k8s.io/v1/namespaces/default/events", newer)
    found = await api.get(f"{NAMESPACE}/events", fieldSelector="involvedObject.name=worker,type=Warning")
    assert [item["message"] for item in found["items"]] == ["done"]
    table = await api.get(f"{NAMESPACE}/events", accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert [row["cells"][:4] for row in table["rows"]] == [
        ["0s", "Normal", "Started", "pod/worker"],
        ["0s", "Warning", "Ended", "pod/worker"],
    ]


async def test_events_are_forgotten_after_an_hour(api: Api, cluster: Cluster, clock: Clock) -> None:
    about = {"involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"}, "reason": "Started"}
    await api.post(f"{NAMESPACE}/events", {"metadata": {"name": "old"}} | about)
    clock.advance(3000)
    await api.post(f"{NAMESPACE}/events", {"metadata": {"name": "new"}} | about)
    clock.advance(700)
    forget_old_events(cluster)
    found = await api.get(f"{NAMESPACE}/events")
    assert [item["metadata"]["name"] for item in found["items"]] == ["new"]


async def test_a_node_may_bring_its_status(api: Api) -> None:
    node = {"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "2000m", "memory": "1024Mi"}}}
    created = await api.post("/api/v1/nodes", node)
    assert created["status"]["allocatable"] == {"cpu": "2", "memory": "1Gi"}
