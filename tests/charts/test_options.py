"""What the chart can bring beside the operator: off by default, each on its own switch."""

import base64
import json
import re
from dataclasses import fields

import helm_python
import pytest
import yaml
from prometheus_client import CollectorRegistry

from support.install import CHART, ROOT, by_name, hooks, rendered
from support.pod_security import violations
from tools.chart_values import camel_case, settings_schema
from trainyard_operator.runtime.metrics import Metrics
from trainyard_operator.runtime.reconciler import Key
from trainyard_operator.runtime.service_metrics import Measures, ServiceMetrics
from trainyard_operator.settings import Settings, load

SWITCHES = {
    "NetworkPolicy": {"networkPolicy": {"enabled": True}},
    "ServiceMonitor": {"metrics": {"serviceMonitor": {"enabled": True}}},
    "PodMonitor": {"metrics": {"podMonitor": {"enabled": True}}},
    "PrometheusRule": {"metrics": {"prometheusRule": {"enabled": True}}},
    "ConfigMap": {"metrics": {"dashboard": {"enabled": True}}},
}


def only(values, kind):
    (found,) = [each for each in rendered(values) if each["kind"] == kind]
    return found


def container(values):
    return only(values, "Deployment")["spec"]["template"]["spec"]["containers"][0]


def selector():
    return only({}, "Deployment")["spec"]["selector"]["matchLabels"]


@pytest.mark.parametrize("kind", SWITCHES)
def test_an_option_is_off_by_default_and_its_switch_brings_nothing_else(kind):
    plain, switched = by_name(rendered()), by_name(rendered(SWITCHES[kind]))
    assert {found for found, _ in switched.keys() - plain.keys()} == {kind}
    assert {name: switched[name] for name in plain} == plain


def test_the_disruption_budget_covers_the_operators_pods():
    values = {"podDisruptionBudget": {"enabled": True, "maxUnavailable": "50%"}}
    assert only(values, "PodDisruptionBudget")["spec"] == {
        "maxUnavailable": "50%",
        "selector": {"matchLabels": selector()},
    }
    kinds = [
        {each["kind"] for each in rendered(off)}
        for off in ({"replicas": 1}, {"podDisruptionBudget": {"enabled": False}})
    ]
    assert not any("PodDisruptionBudget" in found for found in kinds)


def test_pods_spread_by_the_operators_labels_unless_told_otherwise():
    constraint = {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
    own = constraint | {"labelSelector": {"matchLabels": {"a": "b"}}}
    pod = only({"topologySpreadConstraints": [constraint, own]}, "Deployment")["spec"]["template"]["spec"]
    assert pod["topologySpreadConstraints"] == [constraint | {"labelSelector": {"matchLabels": selector()}}, own]


def test_common_labels_are_on_every_object_and_pod_and_in_no_selector():
    everything = {key: value for switch in SWITCHES.values() for key, value in switch.items() if key != "metrics"}
    metrics = {key: value for switch in SWITCHES.values() for key, value in switch.get("metrics", {}).items()}
    objects = rendered({"commonLabels": {"team": "ml"}, **everything, "metrics": metrics})
    assert {each["kind"] for each in objects} > SWITCHES.keys()
    assert [each["kind"] for each in objects if each["metadata"]["labels"].get("team") != "ml"] == []
    deployment = by_name(objects)["Deployment", "trainyard-operator"]["spec"]
    assert deployment["template"]["metadata"]["labels"]["team"] == "ml"
    assert deployment["selector"]["matchLabels"] == selector()


def test_volumes_reach_the_operators_container():
    volume, mount = {"name": "ca", "configMap": {"name": "ca"}}, {"name": "ca", "mountPath": "/ca", "readOnly": True}
    pod = only({"extraVolumes": [volume], "extraVolumeMounts": [mount]}, "Deployment")["spec"]["template"]["spec"]
    assert (pod["volumes"], pod["containers"][0]["volumeMounts"]) == ([volume], [mount])


def test_every_setting_of_the_operator_is_a_value():
    own = {"namespaces", "trainer_image", "trainer_gpu_image", "operator_image", "network_policies", "log_level"}
    own |= {"log_format", "leader_election", "lease_name", "lease_namespace", "page_port"}
    assert {camel_case(each.name) for each in fields(Settings)} == settings_schema().keys() | set(map(camel_case, own))


def test_settings_arrive_as_the_operator_reads_them():
    numbers = {"workers": 16, "resyncInterval": 1800, "drain": 0.5, "port": 9090, "host": "::"}
    told = container({"settings": numbers})
    environment = {each["name"]: each["value"] for each in told["env"]}
    settings = load([], environment)
    assert (settings.workers, settings.resync_interval, settings.drain) == (16, 1800, 0.5)
    assert (settings.port, settings.host) == (9090, "::")
    assert told["ports"] == [{"name": "metrics", "containerPort": 9090}]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"worker": 4}, "worker", id="misspelt"),
        pytest.param({"resync_interval": 4}, "resync_interval", id="snake case"),
        pytest.param({"workers": "many"}, "workers", id="no number"),
        pytest.param({"workers": -1}, "workers", id="negative"),
    ],
)
def test_a_setting_that_the_operator_does_not_know_is_refused(settings, message):
    with pytest.raises(helm_python.HelmError, match=message):
        rendered({"settings": settings})


def test_the_network_policy_lets_the_operator_reach_what_it_asks_and_nothing_else():
    policy = only({"networkPolicy": {"enabled": True}}, "NetworkPolicy")["spec"]
    assert policy["podSelector"]["matchLabels"] == selector()
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == [{"ports": [{"port": "metrics"}]}]
    ports = {
        tuple(port["port"] for port in rule["ports"]): rule["to"][0]["podSelector"]["matchLabels"]
        for rule in policy["egress"]
        if "to" in rule
    }
    assert ports == {
        (8080,): {"app.kubernetes.io/name": "trainyard-training"},
        (8500, 8501): {"app.kubernetes.io/name": "trainyard-serving"},
    }
    anywhere = [[port["port"] for port in rule["ports"]] for rule in policy["egress"] if "to" not in rule]
    assert anywhere == [[443, 6443], [53, 53]]


def test_the_network_policy_takes_who_may_scrape_and_where_the_api_server_is():
    scraper = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    values = {"networkPolicy": {"enabled": True, "metricsFrom": [scraper], "apiServerPorts": [16443]}}
    policy = only(values, "NetworkPolicy")["spec"]
    assert policy["ingress"] == [{"ports": [{"port": "metrics"}], "from": [scraper]}]
    assert policy["egress"][0] == {"ports": [{"port": 16443}]}


def test_the_service_monitor_finds_the_metrics_service():
    monitor = only({"metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "p"}}}}, "ServiceMonitor")
    service = only({}, "Service")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"] == [{"port": "metrics", "path": "/metrics", "interval": "30s"}]
    assert service["spec"]["ports"][0]["name"] == "metrics"
    assert monitor["metadata"]["labels"]["release"] == "p"


def test_a_service_monitor_without_a_service_is_refused_with_what_to_change():
    with pytest.raises(helm_python.HelmError, match=r"set metrics\.service\.enabled=true"):
        rendered({"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}})


def metric_names():
    exposed = Metrics("1").render().decode()
    names = set(re.findall(r"^# TYPE (\S+)", exposed, re.MULTILINE))
    histograms = set(re.findall(r"^# TYPE (\S+) histogram", exposed, re.MULTILINE))
    return names | {f"{name}_bucket" for name in histograms}


def unknown(expression):
    used = set(re.findall(r"\b(?:trainyard|workqueue|controller_runtime|rest_client|leader_election)_\w+", expression))
    assert used
    return used - metric_names()


def test_every_alert_asks_for_metrics_that_the_operator_has_and_is_in_the_runbook():
    values = {"metrics": {"prometheusRule": {"enabled": True, "runbookUrl": "https://example.com/alerts"}}}
    (group,) = only(values, "PrometheusRule")["spec"]["groups"]
    runbook = (ROOT / "docs/how-to/alerts.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (Trainyard\w+)", runbook, re.MULTILINE) == [rule["alert"] for rule in group["rules"]]
    for rule in group["rules"]:
        assert unknown(rule["expr"]) == set()
        assert rule["annotations"]["runbook_url"] == f"https://example.com/alerts#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("critical", "warning")


def test_every_panel_of_the_dashboard_asks_for_metrics_that_the_operator_has():
    config_map = only({"metrics": {"dashboard": {"enabled": True}}}, "ConfigMap")
    dashboard = json.loads(config_map["data"]["trainyard.json"])
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(expressions) >= 12
    assert [expression for expression in expressions if unknown(expression)] == []
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)


def test_the_dashboard_of_models_asks_for_metrics_that_servers_and_operator_have():
    config_map = only({"metrics": {"dashboard": {"enabled": True}}}, "ConfigMap")
    dashboard = json.loads(config_map["data"]["trainyard-models.json"])
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    servers = {"tensorflow_serving_request_count", "tensorflow_serving_request_latency_bucket"}
    asked = {name for expression in expressions for name in re.findall(r"(?:tensorflow|trainyard)_\w+", expression)}
    services = ServiceMetrics(registry := CollectorRegistry())
    services.observe(Key("ModelService", "a", "b"), Measures(1, 1, 1.0, 1.0, 1, ()))
    told = {sample.name for family in registry.collect() for sample in family.samples}
    assert asked <= servers | told
    assert told <= asked | {"trainyard_model_service_rollouts_created"}, "each of the operator's metrics is shown"
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places) == 12
    assert dashboard["uid"] != json.loads(config_map["data"]["trainyard.json"])["uid"]


def test_helm_test_asks_the_operator_with_a_restricted_pod():
    pod = by_name(hooks())["Pod", "trainyard-test"]
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert violations(pod["spec"]) == []
    assert pod["spec"]["containers"][0]["args"] == ["http://trainyard-operator.trainyard-system.svc:8080/readyz"]
    # The Service must not send Prometheus, or anybody, to the pod of the test.
    assert not selector().items() <= pod["metadata"]["labels"].items()


def test_helm_test_trains_with_the_rights_of_its_own_account():
    objects = by_name(hooks({"watchNamespaces": ["team-a"], "tests": {"storageClassName": "fast"}}))
    pod, role = objects["Pod", "trainyard-test-training"], objects["Role", "trainyard-test-training"]
    assert violations(pod["spec"]) == []
    assert not selector().items() <= pod["metadata"]["labels"].items()
    assert pod["spec"]["containers"][0]["args"] == ["team-a", "trainyard-test", "fast"]
    compile(pod["spec"]["containers"][0]["command"][2], "train-and-predict.py", "exec")
    assert role["metadata"]["namespace"] == "team-a"
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"create", "delete", "get"}
    assert {each["metadata"]["annotations"]["helm.sh/hook"] for each in objects.values()} == {"test"}
    assert {name for _, name in by_name(hooks({"tests": {"training": False}}))} == {"trainyard-test"}


def test_the_icon_is_the_picture_beside_the_chart():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    kind, _, content = chart["icon"].partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(content) == (CHART / "icon.svg").read_bytes().strip()


def test_the_examples_of_artifact_hub_are_of_the_crds_that_it_lists():
    annotations = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["annotations"]
    examples = yaml.safe_load(annotations["artifacthub.io/crdsExamples"])
    listed = yaml.safe_load(annotations["artifacthub.io/crds"])
    assert [each["kind"] for each in examples] == [each["kind"] for each in listed]
