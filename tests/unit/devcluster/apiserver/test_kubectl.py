"""An unmodified kubectl against the server."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from support import kubectl as program
from support.api_process import api_server
from support.objects import OPEN, a_config_map, a_definition, a_deployment, a_job, a_pod, a_service, a_widget

REPOSITORY = Path(__file__).parents[4]
Kubectl = Callable[..., str]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("kubectl")
    with api_server(folder) as kubeconfig:
        found = program.environment(kubeconfig, folder)
        program.kubectl("create", "serviceaccount", "default", env=found)
        yield found


@pytest.fixture
def kubectl(environment: dict[str, str]) -> Kubectl:
    def run(*arguments: str, stdin: object = None, fails: bool = False) -> str:
        text = None if stdin is None else yaml.safe_dump(stdin)
        return program.kubectl(*arguments, env=environment, stdin=text, fails=fails)

    return run


def test_apply_get_and_delete(kubectl: Kubectl) -> None:
    for manifest in (a_deployment("web"), a_service("web"), a_config_map("settings", a="1")):
        assert kubectl("apply", "-f", "-", stdin=manifest).endswith(" created\n")
        assert kubectl("apply", "-f", "-", stdin=manifest).endswith(" unchanged\n")
    changed = a_deployment("web", replicas=3)
    assert kubectl("apply", "-f", "-", stdin=changed) == "deployment.apps/web configured\n"
    lines = kubectl("get", "deploy,svc", "-o", "wide").splitlines()
    assert lines[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    assert lines[1].split()[:4] == ["deployment.apps/web", "0/3", "0", "0"]
    assert "ClusterIP" in lines[4]
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "3"
    assert kubectl("delete", "deploy/web", "svc/web", "cm/settings").count("deleted") == 3
    assert "NotFound" in kubectl("get", "deploy", "web", fails=True)


@pytest.mark.parametrize(
    ("api_version", "kind", "answer"),
    [
        pytest.param("batch/v1", "Jobb", 'no matches for kind "Jobb" in version "batch/v1"', id="kind"),
        pytest.param("btch/v1", "Job", 'no matches for kind "Job" in version "btch/v1"', id="group"),
        pytest.param("example.dev/v9", "Thing", 'no matches for kind "Thing" in version "example.dev/v9"', id="both"),
    ],
)
def test_a_misspelt_kind_is_told_as_that(kubectl: Kubectl, api_version: str, kind: str, answer: str) -> None:
    told = kubectl("apply", "-f", "-", stdin=a_job() | {"apiVersion": api_version, "kind": kind}, fails=True)
    assert answer in told
    assert "openapi" not in told


def test_a_last_applied_field_is_removed(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=a_config_map("three-way", a="1", b="2"))
    kubectl("apply", "-f", "-", stdin=a_config_map("three-way", a="1"))
    assert kubectl("get", "cm", "three-way", "-o", "jsonpath={.data}") == '{"a":"1"}'


def test_server_side_apply_and_its_conflicts(kubectl: Kubectl) -> None:
    manifest = a_config_map("shared", a="1")
    assert kubectl("apply", "--server-side", "-f", "-", stdin=manifest) == "configmap/shared serverside-applied\n"
    other = a_config_map("shared", a="2")
    refused = kubectl("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=other, fails=True)
    assert 'Apply failed with 1 conflict: conflict with "kubectl": .data.a' in refused
    kubectl("apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-", stdin=other)
    assert kubectl("get", "cm", "shared", "-o", "jsonpath={.data.a}") == "2"


def test_diff_shows_what_an_apply_would_do(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=a_config_map("compared", a="1"))
    assert not kubectl("diff", "-f", "-", stdin=a_config_map("compared", a="1"))


def test_wrong_fields_are_found_before_anything_is_stored(kubectl: Kubectl) -> None:
    wrong = kubectl("apply", "-f", "-", stdin=a_deployment("wrong", replcas=3), fails=True)
    assert 'strict decoding error: unknown field "spec.replcas"' in wrong
    invalid = kubectl("apply", "-f", "-", stdin=a_deployment("wrong", replicas=-1), fails=True)
    assert 'The Deployment "wrong" is invalid: spec.replicas: Invalid value: -1' in invalid
    missing = kubectl("apply", "-f", "-", stdin={"apiVersion": "v1", "kind": "ConfigMap"}, fails=True)
    assert "name" in missing


def test_scale_label_annotate_and_patch(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=a_deployment("changed"))
    kubectl("scale", "deploy/changed", "--replicas=4")
    kubectl("label", "deploy/changed", "tier=web")
    kubectl("annotate", "deploy/changed", "note=text")
    kubectl(
        "patch",
        "deploy",
        "changed",
        "-p",
        '{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"x:9"}]}}}}',
    )
    kubectl("set", "env", "deploy/changed", "A=1")
    found = json.loads(kubectl("get", "deploy", "-l", "tier=web", "-o", "json"))["items"][0]
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert (found["spec"]["replicas"], container["image"], container["env"]) == (
        4,
        "x:9",
        [{"name": "A", "value": "1"}],
    )
    assert found["metadata"]["annotations"]["note"] == "text"


def test_describe_pods_services_and_jobs(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=a_pod("described"))
    kubectl("create", "-f", "-", stdin=a_job("described"))
    kubectl("create", "-f", "-", stdin=a_service("described"))
    assert "Service Account:  default" in kubectl("describe", "pod", "described")
    assert "Completion Mode:  NonIndexed" in kubectl("describe", "job", "described")
    assert "Endpoints:" in kubectl("describe", "svc", "described")
    assert "Name:" in kubectl("describe", "ns", "default")
    assert "container main is waiting" not in kubectl("logs", "described", fails=True)


def test_a_table_is_watched(kubectl: Kubectl, environment: dict[str, str]) -> None:
    kubectl("create", "cm", "seen", "--from-literal=a=b")
    command = [str(program.KUBECTL), "get", "cm", "seen", "-w"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        try:
            assert watching.stdout.readline().split() == ["NAME", "DATA", "AGE"]
            assert watching.stdout.readline().split()[:2] == ["seen", "1"]
            kubectl("patch", "cm", "seen", "-p", '{"data":{"c":"d"}}')
            assert watching.stdout.readline().split()[:2] == ["seen", "2"]
        finally:
            watching.terminate()


def test_wait_for_conditions_fields_and_deletion(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=a_pod("awaited"))
    kubectl("patch", "pod", "awaited", "--subresource=status", "--type=merge", "-p",
            '{"status":{"conditions":[{"type":"Ready","status":"True"}],"phase":"Running"}}')  # fmt: skip
    assert "condition met" in kubectl("wait", "--for=condition=Ready", "pod/awaited", "--timeout=5s")
    kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod/awaited", "--timeout=5s")
    kubectl("delete", "pod", "awaited")
    kubectl("wait", "--for=delete", "pod/awaited", "--timeout=5s")


def test_explain_speaks_of_built_in_and_custom_kinds(kubectl: Kubectl) -> None:
    assert "KIND:       Deployment" in kubectl("explain", "deployment.spec.strategy")
    kubectl("apply", "-k", str(REPOSITORY / "manifests" / "crds"))
    kubectl("wait", "--for=condition=Established", "crd/trainingjobs.trainyard.dev", "--timeout=5s")
    kubectl("get", "tj,ms")
    assert "How to train." in kubectl("explain", "tj.spec.fit")
    assert "FIELDS:" in kubectl("explain", "ms.spec", "--recursive")


def test_custom_resources_are_applied_and_refused(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=a_definition(OPEN))
    kubectl("apply", "-f", "-", stdin=a_widget("one", size=1))
    assert kubectl("get", "wd").splitlines()[0].split() == ["NAME", "AGE"]
    assert kubectl("get", "gadgets", "-o", "name") == "widget.example.dev/one\n"
    kubectl("apply", "-k", str(REPOSITORY / "manifests" / "crds"))
    job = yaml.safe_load((REPOSITORY / "examples" / "quickstart" / "trainingjob.yaml").read_text())
    kubectl("apply", "-f", "-", stdin=job)
    both = job | {"metadata": {"name": "both"}, "spec": job["spec"] | {"program": {}}}
    refused = kubectl("apply", "-f", "-", stdin=both, fails=True)
    assert 'The TrainingJob "both" is invalid: spec.program: Invalid value: set exactly one' in refused


def test_api_resources_and_versions_are_listed(kubectl: Kubectl) -> None:
    lines = kubectl("api-resources", "--api-group=apps", "--no-headers").splitlines()
    assert [line.split()[0] for line in lines] == ["daemonsets", "deployments", "replicasets", "statefulsets"]
    assert "autoscaling/v2" in kubectl("api-versions").splitlines()
    assert "Server Version: v1.36" in kubectl("version")
    assert "is running at" in kubectl("cluster-info")


def test_access_is_asked_and_tokens_are_made(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "delete", "pods") == "yes\n"
    assert "kubernetes-admin" in kubectl("auth", "whoami")
    kubectl("create", "serviceaccount", "robot")
    assert kubectl("create", "token", "robot").count(".") == 2
    kubectl("auth", "can-i", "get", "pods", "--as=system:serviceaccount:default:robot", fails=True)
    kubectl("create", "clusterrolebinding", "robot", "--clusterrole=view", "--serviceaccount=default:robot")
    assert kubectl("auth", "can-i", "get", "pods", "--as=system:serviceaccount:default:robot") == "yes\n"


def test_namespaces_and_generators(kubectl: Kubectl) -> None:
    kubectl("create", "ns", "team")
    kubectl("create", "serviceaccount", "default", "-n", "team")
    kubectl("run", "made", "-n", "team", "--image=x:1", "--restart=Never")
    kubectl("create", "job", "made", "-n", "team", "--image=x:1")
    kubectl("create", "deployment", "made", "-n", "team", "--image=x:1")
    kubectl("expose", "deployment", "made", "-n", "team", "--port=80")
    kubectl("create", "service", "nodeport", "more", "-n", "team", "--tcp=80:http")
    kubectl("create", "ingress", "made", "-n", "team", "--rule=example.dev/a*=made:80")
    kubectl("autoscale", "deployment", "made", "-n", "team", "--min=2", "--max=5", "--cpu=70%", "--memory=200Mi")
    kubectl("create", "pdb", "made", "-n", "team", "--selector=app=made", "--min-available=50%")
    kubectl("create", "quota", "made", "-n", "team", "--hard=pods=10")
    kubectl("create", "cronjob", "made", "-n", "team", "--image=x:1", "--schedule=@daily")
    kubectl("create", "role", "made", "-n", "team", "--verb=get", "--resource=pods")
    kubectl("create", "rolebinding", "made", "-n", "team", "--role=made", "--serviceaccount=team:default")
    kubectl("create", "configmap", "made", "-n", "team", "--from-literal=a=b")
    kubectl("create", "secret", "generic", "made", "-n", "team", "--from-literal=a=b")
    (port,) = json.loads(kubectl("get", "svc", "more", "-n", "team", "-o", "json"))["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, "http")
    (rule,) = json.loads(kubectl("get", "ing", "made", "-n", "team", "-o", "json"))["spec"]["rules"]
    assert (rule["host"], rule["http"]["paths"][0]["path"]) == ("example.dev", "/a")
    assert rule["http"]["paths"][0]["backend"] == {"service": {"name": "made", "port": {"number": 80}}}
    scaler = json.loads(kubectl("get", "hpa", "made", "-n", "team", "-o", "json"))["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"], scaler["scaleTargetRef"]["name"]) == (2, 5, "made")
    targets = {each["resource"]["name"]: each["resource"]["target"] for each in scaler["metrics"]}
    assert targets["cpu"] == {"type": "Utilization", "averageUtilization": 70}
    assert targets["memory"] == {"type": "AverageValue", "averageValue": "200Mi"}
    shown = kubectl("get", "all", "-n", "team")
    for kind in ("pod/made", "job.batch/made", "deployment.apps/made", "service/made", "cronjob.batch/made"):
        assert kind in shown
    assert kubectl("delete", "all", "--all", "-n", "team").count("deleted") == 7


def test_the_cluster_is_dumped(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "dumped", "--image=x:1")
    assert '"name": "dumped"' in kubectl("cluster-info", "dump", "--namespaces=default")
