"""The chart renders with a real Helm, and says no to values that mean nothing."""

import helm_python
import pytest

from support.install import CHART, ROOT, by_name, rendered
from tools.chart_values import comments, generated_files
from tools.version import project_version
from trainyard_api.crd import RESOURCES
from trainyard_operator.cluster.permissions import PERMISSIONS

SHA = "sha256:" + "0" * 64
VERSION = project_version(ROOT)


def test_lint_finds_nothing():
    report = helm_python.lint(CHART, strict=True)
    assert report["messages"] == []
    assert report["errors"] == []


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"replicas": "two"}, "replicas"),
        ({"image": {"tags": "1"}}, "tags"),
        ({"crds": {"enable": False}}, "enable"),
        ({"log": {"level": "loud"}}, "level"),
        ({"image": {"digest": "sha256:1"}}, "digest"),
        ({"watchNamespaces": "team-a"}, "watchNamespaces"),
        ({"watchNamespaces": ["Team_A"]}, "watchNamespaces"),
        ({"resources": {"request": {"cpu": 1}}}, "request"),
        ({"tolerations": [{"efect": "NoSchedule"}]}, "efect"),
        ({"extraEnv": [{"value": "x"}]}, "name"),
    ],
)
def test_a_misspelt_value_is_refused_by_its_name(values, word):
    with pytest.raises(helm_python.HelmError, match=word):
        rendered(values)


def test_every_value_has_a_comment_and_stands_in_the_schema_and_the_readme():
    with helm_python.Chart.load(CHART) as chart:
        values, schema = chart.values, chart.schema
    described = comments((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert set(described) == set(_leaves(values, described))
    assert set(described) == set(_leaves_of_schema(schema, described)) - {"global"}
    for path, text in generated_files().items():
        assert path.read_text(encoding="utf-8") == text, "run `make crds`"


def _leaves(values, described, path=""):
    for key, each in values.items():
        here = f"{path}{key}"
        if here in described or not isinstance(each, dict):
            yield here
        else:
            yield from _leaves(each, described, f"{here}.")


def _leaves_of_schema(schema, described, path=""):
    assert path.rstrip(".") in described or schema["additionalProperties"] is False
    for key, each in schema["properties"].items():
        here = f"{path}{key}"
        if here in described or "properties" not in each:
            yield here
        else:
            yield from _leaves_of_schema(each, described, f"{here}.")


def test_crds_are_kept_when_the_release_is_uninstalled_unless_told_otherwise():
    for keep in (True, False):
        crds = [each for each in rendered({"crds": {"keep": keep}}) if each["kind"] == "CustomResourceDefinition"]
        policies = [each["metadata"].get("annotations", {}).get("helm.sh/resource-policy") for each in crds]
        assert policies == ["keep" if keep else None] * len(RESOURCES)


def test_crds_can_be_left_out():
    kinds = [each["kind"] for each in rendered({"crds": {"enabled": False}})]
    assert "CustomResourceDefinition" not in kinds
    assert "Deployment" in kinds


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({}, f"trainyard/operator:{VERSION}"),
        ({"tag": "main"}, "trainyard/operator:main"),
        ({"registry": "registry.example.com:5000"}, f"registry.example.com:5000/trainyard/operator:{VERSION}"),
        ({"repository": "me/op", "tag": "1", "digest": SHA}, f"me/op@{SHA}"),
    ],
)
def test_images_come_from_where_the_values_say(image, reference):
    container = _container(rendered({"image": image}))
    assert container["image"] == reference
    assert _env(container)["TRAINYARD_OPERATOR_IMAGE"] == reference


def test_one_value_moves_every_image_to_a_registry():
    container = _container(rendered({"registry": "registry.example.com/team"}))
    images = [container["image"], *(_env(container)[f"TRAINYARD_{name}_IMAGE"] for name in ("OPERATOR", "TRAINER"))]
    assert images == [
        f"registry.example.com/team/trainyard/{name}:{VERSION}" for name in ("operator", "operator", "trainer")
    ]


def test_the_training_image_is_a_setting_of_the_operator():
    container = _container(rendered({"trainerImage": {"registry": "r.example.com", "tag": "gpu"}}))
    assert _env(container)["TRAINYARD_TRAINER_IMAGE"] == "r.example.com/trainyard/trainer:gpu"


def test_listed_namespaces_get_a_role_each_and_nothing_cluster_wide():
    objects = rendered({"watchNamespaces": ["team-a", "team-b"], "rbac": {"aggregate": False}})
    roles = [each for each in objects if each["kind"] in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")]
    assert [(each["kind"], each["metadata"]["namespace"]) for each in roles] == [
        ("Role", "team-a"), ("RoleBinding", "team-a"), ("Role", "team-b"), ("RoleBinding", "team-b"),
        ("Role", "trainyard-system"), ("RoleBinding", "trainyard-system"),
    ]  # fmt: skip
    assert _env(_container(objects))["TRAINYARD_NAMESPACES"] == "team-a,team-b"


def test_a_role_in_a_namespace_has_the_rules_of_the_cluster_role():
    in_one = by_name(rendered({"watchNamespaces": ["team-a"]}))["Role", "trainyard-operator"]
    everywhere = by_name(rendered())["ClusterRole", "trainyard-operator"]["rules"]
    assert in_one["rules"] == everywhere[: len(in_one["rules"])]
    without = {resource for rule in everywhere[len(in_one["rules"]) :] for resource in rule["resources"]}
    assert without == {each.resource for each in PERMISSIONS if each.of_cluster}


def test_what_is_switched_off_is_absent():
    off = {
        "rbac": {"create": False, "aggregate": False},
        "serviceAccount": {"create": False, "name": "mine"},
        "metrics": {"service": {"enabled": False}},
        "crds": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
    }
    (deployment,) = rendered(off)
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == "mine"


def test_pod_settings_reach_the_pod():
    values = {
        "imagePullSecrets": [{"name": "pull"}],
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"pool": "infra"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "podAnnotations": {"a": "b"},
        "podLabels": {"c": "d"},
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.com"}],
        "resources": {"limits": {"memory": "1Gi"}},
    }
    template = by_name(rendered(values))["Deployment", "trainyard-operator"]["spec"]["template"]
    spec = template["spec"]
    for field in ("imagePullSecrets", "priorityClassName", "tolerations", "affinity"):
        assert spec[field] == values[field]
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux", "pool": "infra"}
    assert template["metadata"]["annotations"]["a"] == "b"
    assert template["metadata"]["labels"]["c"] == "d"
    assert _env(spec["containers"][0])["HTTPS_PROXY"] == "http://proxy.example.com"
    assert spec["containers"][0]["resources"]["limits"] == {"memory": "1Gi"}


def test_the_pod_monitor_scrapes_the_operators_port_and_is_off_by_default():
    assert not [each for each in rendered() if each["kind"] == "PodMonitor"]
    on = {"metrics": {"podMonitor": {"enabled": True, "interval": "15s", "labels": {"release": "prometheus"}}}}
    objects = by_name(rendered(on))
    monitor = objects["PodMonitor", "trainyard-operator"]
    deployment = objects["Deployment", "trainyard-operator"]
    assert monitor["spec"]["selector"] == deployment["spec"]["selector"]
    assert monitor["spec"]["podMetricsEndpoints"] == [{"port": "metrics", "path": "/metrics", "interval": "15s"}]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_a_release_of_any_name_makes_names_that_fit():
    names = [name for _, name in by_name(rendered(name="a" * 53)) if not name.endswith("trainyard.dev")]
    assert max(map(len, names)) <= 63
    assert by_name(rendered(name="mine"))["Deployment", "mine-trainyard-operator"]
    assert by_name(rendered({"fullnameOverride": "ty"}))["Deployment", "ty-operator"]


def test_selectors_of_two_releases_do_not_meet():
    one, two = (_selector(rendered(name=name)) for name in ("one", "two"))
    assert one != two


def test_an_upgrade_of_the_chart_alone_does_not_restart_the_operator():
    labels = by_name(rendered())["Deployment", "trainyard-operator"]["spec"]["template"]["metadata"]["labels"]
    assert "helm.sh/chart" not in labels


def test_nothing_but_helm_test_is_looked_up_random_or_hooked():
    for path in (CHART / "templates").rglob("*"):
        if path.is_file() and path.parent.name != "tests":
            text = path.read_text(encoding="utf-8")
            words = ("lookup", "randAlpha", "uuidv4", "genSelfSigned", "helm.sh/hook", "now |")
            assert not [word for word in words if word in text], path


def test_the_notes_name_the_deployment_to_wait_for():
    with helm_python.Chart.load(CHART) as chart:
        notes = chart.render(name="mine", namespace="ops")["trainyard/templates/NOTES.txt"]
    assert "kubectl --namespace ops rollout status deployment/mine-trainyard-operator" in notes


def _container(objects):
    return by_name(objects)["Deployment", "trainyard-operator"]["spec"]["template"]["spec"]["containers"][0]


def _env(container):
    return {each["name"]: each["value"] for each in container["env"]}


def _selector(objects):
    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    return deployment["spec"]["selector"]
