"""What Prometheus reads of a service, and when it alerts: asked of promtool where there is one."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.serving import a_model_service
from trainyard_api.monitoring import Monitoring
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving.monitoring import pod_monitor, prometheus_rule

OWNER = a_model_service().build()
REQUESTS = 'tensorflow_serving_request_count{model_service="churn",namespace="team",pod="a",status="%s"}'
OWN = '{model_service="churn",service_namespace="team"}'
ALERTS = ("TrainyardModelDown", "TrainyardModelFailing", "TrainyardModelRolloutStuck", "TrainyardModelOld")


def monitored(**fields: Any) -> Monitoring:
    return Monitoring.model_validate({"podMonitor": True, "prometheusRule": True, "maxModelAge": 30} | fields)


def relabelled(name: str) -> str:
    """What Prometheus makes of a metric's name: each rule fits the whole name, or does nothing."""
    (endpoint,) = pod_monitor(OWNER, monitored())["spec"]["podMetricsEndpoints"]
    for rule in endpoint["metricRelabelings"]:
        assert (rule["action"], rule["sourceLabels"], rule["targetLabel"]) == ("replace", ["__name__"], "__name__")
        if match := re.fullmatch(rule["regex"], name):
            name = match.expand(re.sub(r"\$\{(\d)\}", r"\\\1", rule["replacement"]))
    return name


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        (":tensorflow:serving:request_count", "tensorflow_serving_request_count"),
        (
            ":tensorflow:serving:batching_session:queuing_latency_bucket",
            "tensorflow_serving_batching_session_queuing_latency_bucket",
        ),
        (":tensorflow:cc:saved_model:load_latency", "tensorflow_cc_saved_model_load_latency"),
        ("go_info", "go_info"),
    ],
)
def test_names_lose_their_colons(name: str, plain: str) -> None:
    assert relabelled(name) == plain


def test_series_say_which_revision_they_are_of() -> None:
    monitor = pod_monitor(OWNER, monitored(labels={"release": "prometheus"}))

    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"] == {"trainyard.dev/model-service": "churn"}
    assert (endpoint["port"], endpoint["path"]) == ("http", "/monitoring/prometheus/metrics")
    assert {rule["targetLabel"]: rule["sourceLabels"] for rule in endpoint["relabelings"]} == {
        "model_service": ["__meta_kubernetes_pod_label_trainyard_dev_model_service"],
        "revision": ["__meta_kubernetes_pod_label_trainyard_dev_revision"],
        "model_version": ["__meta_kubernetes_pod_label_trainyard_dev_model_version"],
    }


def test_a_model_gets_old_only_where_somebody_says_when() -> None:
    def names(monitoring: Monitoring) -> list[str]:
        (group,) = prometheus_rule(OWNER, monitoring)["spec"]["groups"]
        return [rule["alert"] for rule in group["rules"]]

    assert set(names(monitored())) == set(ALERTS)
    assert "TrainyardModelOld" not in names(monitored(maxModelAge=None))


def series(name: str, values: str) -> Manifest:
    return {"series": name, "values": values}


# One sample a minute; 12 hours of them.
GOOD = series(REQUESTS % "OK", "0+100x720")
CASES = [
    pytest.param([GOOD], {}, id="all is well"),
    pytest.param(
        [GOOD, series(REQUESTS % "INTERNAL", "0+2x720")], {"TrainyardModelFailing": 2}, id="two percent fail for hours"
    ),
    pytest.param(
        [GOOD, series(REQUESTS % "UNAVAILABLE", "0x660 0+50x60")],
        {"TrainyardModelFailing": 2},
        id="a third fails for an hour",
    ),
    pytest.param([GOOD, series(REQUESTS % "INTERNAL", "0+0.05x720")], {}, id="within the objective"),
    pytest.param([GOOD, series(REQUESTS % "INVALID_ARGUMENT", "0+50x720")], {}, id="clients ask nonsense"),
    pytest.param([GOOD, series(REQUESTS % "INTERNAL", "0+50x600 30000x120")], {}, id="it is over"),
    pytest.param(
        [
            series(f"trainyard_model_service_replicas_ready{OWN}", "0x720"),
            series(f"trainyard_model_service_replicas_wanted{OWN}", "2x720"),
        ],
        {"TrainyardModelDown": 1},
        id="nothing answers",
    ),
    pytest.param(
        [
            series(f"trainyard_model_service_replicas_ready{OWN}", "0x720"),
            series(f"trainyard_model_service_replicas_wanted{OWN}", "0x720"),
        ],
        {},
        id="it is stopped",
    ),
    pytest.param(
        [series(f"trainyard_model_service_rollout_started_timestamp_seconds{OWN}", "36000x720")],
        {"TrainyardModelRolloutStuck": 1},
        id="a rollout of two hours",
    ),
    pytest.param(
        [series(f"trainyard_model_service_rollout_started_timestamp_seconds{OWN}", "42000x720")],
        {},
        id="a rollout of twenty minutes",
    ),
    pytest.param(
        [series(f"trainyard_model_service_model_timestamp_seconds{OWN}", "-2600000x720")],
        {"TrainyardModelOld": 1},
        id="a model of thirty days",
    ),
]


@pytest.mark.parametrize(("input_series", "firing"), CASES)
def test_the_alerts_fire_when(tmp_path: Path, input_series: list[Manifest], firing: dict[str, int]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    rule = prometheus_rule(OWNER, monitored())["spec"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule))
    checked = subprocess.run([promtool, "check", "rules", tmp_path / "rules.yaml"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr

    for name in ALERTS:
        expected = [{}] * firing.get(name, 0)
        found = _fired(promtool, tmp_path, input_series, name)
        assert len(found) == len(expected), (name, found)


def _fired(promtool: str, folder: Path, input_series: list[Manifest], name: str) -> list[str]:
    """The alerts of a name that fire after twelve hours. promtool only compares, so what it got is read from there."""
    nobody = [{"exp_labels": {"nobody": "expects this"}}]
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": input_series,
                "alert_rule_test": [{"eval_time": "12h", "alertname": name, "exp_alerts": nobody}],
            }
        ],
    }
    (folder / "test.yaml").write_text(yaml.safe_dump(test))
    told = subprocess.run([promtool, "test", "rules", "test.yaml"], cwd=folder, capture_output=True, text=True)
    got = (told.stdout + told.stderr).partition("got:")[2]
    assert "got:" in told.stdout + told.stderr, told.stdout + told.stderr
    return re.findall(r"Labels:", got)
