"""The objects of both ways of installing: valid, equal, restricted, and with the rights the operator needs."""

import copy
import re

import kubernetes_validate
import pytest
import yaml

from support.install import NAMESPACE, ROOT, by_name, hooks, kustomized, manifests, rendered
from support.pod_security import violations
from trainyard_operator.cluster.permissions import ELECTION, PAGE_PERMISSIONS, PERMISSIONS

EVERYTHING_ON = {
    "commonLabels": {"team": "ml"},
    "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}],
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    "podDisruptionBudget": {"enabled": True},
    "networkPolicy": {"enabled": True, "metricsFrom": [{"podSelector": {}}]},
    "imagePullSecrets": [{"name": "pull"}],
    "watchNamespaces": ["team-a"],
    "priorityClassName": "high",
    "extraEnv": [{"name": "A", "value": "b"}],
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "podAnnotations": {"a": "b"},
    "serviceAccount": {"annotations": {"a": "b"}},
    "argocd": {"health": {"enabled": True}},
    "page": {"enabled": True, "annotations": {"a": "b"}},
    "metrics": {"service": {"annotations": {"a": "b"}}, "dashboard": {"enabled": True}},
}
OBJECTS = [
    pytest.param(each, id=f"{source}:{each['kind']}/{each['metadata']['name']}")
    for source, objects in (
        ("manifests", manifests()),
        ("chart", rendered()),
        ("chart with everything on", [*rendered(EVERYTHING_ON), *hooks(EVERYTHING_ON)]),
    )
    for each in objects
]
HIGH_AVAILABILITY = kustomized("manifests/overlays/high-availability")
BOTH = pytest.mark.parametrize("objects", [manifests(), rendered()], ids=["manifests", "chart"])
ELECTING = pytest.mark.parametrize("objects", [HIGH_AVAILABILITY, rendered()], ids=["manifests", "chart"])


@pytest.mark.parametrize("version", ["1.29", "1.36"])
@pytest.mark.parametrize("each", OBJECTS)
def test_an_object_is_valid_kubernetes(each, version):
    kubernetes_validate.validate(each, version, strict=True)


def test_the_chart_and_the_manifests_make_the_same_objects():
    overlay = [*kustomized("manifests/crds"), *HIGH_AVAILABILITY]
    plain = by_name(each for each in overlay if each["kind"] != "Namespace")
    chart = by_name(rendered())
    assert plain.keys() == chart.keys()
    for name, each in plain.items():
        assert _without_helms_own(chart[name]) == _without_helms_own(each), name


def test_the_overlay_of_a_restricted_network_adds_the_policy_of_the_chart():
    added = by_name(kustomized("manifests/overlays/restricted-network"))
    policy = by_name(rendered({"networkPolicy": {"enabled": True}}))["NetworkPolicy", "trainyard-operator"]
    assert added.keys() - by_name(manifests()).keys() == {("NetworkPolicy", "trainyard-operator")}
    assert _without_helms_own(added["NetworkPolicy", "trainyard-operator"]) == _without_helms_own(policy)


def test_the_overlay_of_the_whole_cluster_is_what_the_manifests_are():
    overlay = [*kustomized("manifests/crds"), *kustomized("manifests/overlays/cluster-wide")]
    assert by_name(overlay) == by_name(manifests())


def test_the_overlay_of_one_namespace_grants_rights_there_alone():
    objects = by_name(kustomized("manifests/overlays/namespaced"))
    assert ("ClusterRoleBinding", "trainyard-operator") not in objects
    binding, account = objects["RoleBinding", "trainyard-operator"], ("ServiceAccount", "trainyard-operator")
    assert binding["metadata"]["namespace"] == "team-a"
    assert (binding["roleRef"]["kind"], account in objects) == ("ClusterRole", True)
    (container,) = objects["Deployment", "trainyard-operator"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "TRAINYARD_NAMESPACES", "value": "team-a"} in container["env"]
    assert ("ConfigMap", "namespace") not in objects


def _without_helms_own(manifest):
    manifest = copy.deepcopy(manifest)
    metadata = manifest["metadata"]
    labels, annotations = metadata.pop("labels", {}), metadata.pop("annotations", {})
    if manifest["kind"] != "CustomResourceDefinition":
        for label in ("app.kubernetes.io/managed-by", "helm.sh/chart"):
            labels.pop(label, None)
        metadata["labels"] = labels
    annotations.pop("helm.sh/resource-policy", None)
    return manifest | {"annotations": annotations}


@BOTH
def test_the_operator_may_do_exactly_what_it_calls(objects):
    rules = by_name(objects)["ClusterRole", "trainyard-operator"]["rules"]
    granted = {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted == {(each.group, each.resource, verb) for each in PERMISSIONS for verb in each.verbs}
    assert sum(len(rule["resources"]) * len(rule["verbs"]) for rule in rules) == len(granted), "a right is given twice"


@pytest.mark.parametrize(
    ("namespaces", "kind"), [([], "ClusterRole"), (["team-a"], "Role")], ids=["all namespaces", "one namespace"]
)
def test_the_page_gets_the_rights_that_it_takes_only_where_it_is_on(namespaces, kind):
    plain = _rights(rendered({"watchNamespaces": namespaces}), kind)
    with_page = rendered({"watchNamespaces": namespaces, "page": {"enabled": True}})
    reviews = _rights(with_page, "ClusterRole", "trainyard-page")
    page = {(each.of_cluster, each.group, each.resource, verb) for each in PAGE_PERMISSIONS for verb in each.verbs}
    assert _rights(with_page, kind) == plain
    assert {(True, *each) for each in reviews} == page
    assert not page & {(of_cluster, *each) for each in plain for of_cluster in (True, False)}


def test_the_page_has_a_port_of_its_own_only_where_it_is_on():
    off, on = by_name(rendered()), by_name(rendered({"page": {"enabled": True, "port": 9090}}))
    assert set(on) - set(off) == {
        ("Service", "trainyard-page"), ("ClusterRole", "trainyard-page"), ("ClusterRoleBinding", "trainyard-page")
    }  # fmt: skip
    (container,) = on["Deployment", "trainyard-operator"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "TRAINYARD_PAGE_PORT", "value": "9090"} in container["env"]
    assert {"name": "page", "containerPort": 9090} in container["ports"]
    assert on["Service", "trainyard-page"]["spec"]["ports"] == [{"name": "page", "port": 9090, "targetPort": "page"}]
    (without,) = off["Deployment", "trainyard-operator"]["spec"]["template"]["spec"]["containers"]
    assert "PAGE" not in str(without)


def _rights(objects, kind, name="trainyard-operator"):
    return {
        (group, resource, verb)
        for rule in by_name(objects)[kind, name]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@BOTH
def test_no_right_is_a_wildcard_and_none_reads_secrets(objects):
    for each in objects:
        for rule in each.get("rules", ()):
            assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])
            assert "secrets" not in rule["resources"]


def test_an_operator_that_elects_nobody_is_alone():
    deployment = by_name(manifests())["Deployment", "trainyard-operator"]["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    variables = [each["name"] for each in deployment["template"]["spec"]["containers"][0]["env"]]
    assert "TRAINYARD_LEADER_ELECTION" not in variables


@ELECTING
def test_several_operators_elect_one_with_the_rights_that_it_takes(objects):
    objects = by_name(objects)
    deployment = objects["Deployment", "trainyard-operator"]["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (2, {"type": "RollingUpdate"})
    settings = {each["name"]: each["value"] for each in deployment["template"]["spec"]["containers"][0]["env"]}
    assert settings["TRAINYARD_LEADER_ELECTION"] == "on"
    rules = objects["Role", "trainyard-election"]["rules"]
    assert {(rule["apiGroups"][0], rule["resources"][0], verb) for rule in rules for verb in rule["verbs"]} == {
        (each.group, each.resource, verb) for each in ELECTION for verb in each.verbs
    }
    names = [rule["resourceNames"] for rule in rules if rule["verbs"] != ["create"]]
    assert names == [[settings["TRAINYARD_LEASE_NAME"]]]
    assert objects["PodDisruptionBudget", "trainyard-operator"]["spec"]["maxUnavailable"] == 1
    (spread,) = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"] == deployment["selector"]


@BOTH
def test_the_operators_pod_is_restricted(objects):
    pod = by_name(objects)["Deployment", "trainyard-operator"]["spec"]["template"]["spec"]
    assert violations(pod) == []
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert "memory" in pod["containers"][0]["resources"]["limits"]


@BOTH
def test_probes_and_the_service_reach_the_operators_port(objects):
    objects = by_name(objects)
    deployment, service = objects["Deployment", "trainyard-operator"], objects["Service", "trainyard-operator"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "metrics", "containerPort": 8080}]
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    assert service["spec"]["ports"] == [{"name": "metrics", "port": 8080, "targetPort": "metrics"}]
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= labels
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels


@BOTH
def test_bindings_name_objects_that_are_there(objects):
    objects = by_name(objects)
    binding = objects["ClusterRoleBinding", "trainyard-operator"]
    assert ("ClusterRole", binding["roleRef"]["name"]) in objects
    (subject,) = binding["subjects"]
    account = objects[subject["kind"], subject["name"]]
    assert subject["namespace"] == account["metadata"]["namespace"] == NAMESPACE
    pod = objects["Deployment", "trainyard-operator"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == subject["name"]
    assert account["automountServiceAccountToken"] is False
    assert pod["automountServiceAccountToken"] is True


@BOTH
def test_people_who_may_edit_a_namespace_may_use_the_resources_but_not_write_their_status(objects):
    objects = by_name(objects)
    edit, view = objects["ClusterRole", "trainyard-edit"], objects["ClusterRole", "trainyard-view"]
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert not [rule for rule in edit["rules"] for resource in rule["resources"] if resource.endswith("/status")]
    assert {verb for rule in view["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}


@BOTH
def test_nothing_is_secret_and_no_registry_is_named(objects):
    # The addresses in a definition are examples in messages.
    text = yaml.safe_dump_all(each for each in objects if each["kind"] != "CustomResourceDefinition")
    assert "kind: Secret" not in text
    hosts = re.findall(r"image: (\S+)/\S+/\S+", text) + re.findall(r"https?://(\w\S*)", text)
    assert hosts == []


def test_the_namespace_enforces_the_restricted_standard():
    namespace = by_name(manifests())["Namespace", NAMESPACE]
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_manifest_is_part_of_a_kustomization():
    folders = ("crds", "operator", "rbac")
    paths = [path for folder in folders for path in (ROOT / "manifests" / folder).glob("*.yaml")]
    texts = [path.read_text(encoding="utf-8") for path in paths if path.name != "kustomization.yaml"]
    written = [each for text in texts for each in yaml.safe_load_all(text)]
    assert by_name(written) == by_name(manifests())


def test_the_crds_go_only_when_they_are_named():
    kinds = {each["kind"] for each in kustomized("manifests")}
    assert "Deployment" in kinds
    assert "CustomResourceDefinition" not in kinds
    assert {each["kind"] for each in kustomized("manifests/crds")} == {"CustomResourceDefinition"}


def test_one_value_moves_every_image_of_the_manifests_to_a_registry():
    moved, plain = kustomized("manifests/overlays/registry"), kustomized("manifests")
    assert by_name(moved).keys() == by_name(plain).keys()
    before, after = yaml.safe_dump_all(plain), yaml.safe_dump_all(moved)
    assert after.count(" registry.example.com/trainyard/") == before.count(" trainyard/") == 4
    assert after.replace("registry.example.com/", "") == before
