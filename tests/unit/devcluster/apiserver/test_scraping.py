"""What is made of the metrics that pods have for Prometheus."""

from typing import Any

import pytest

from trainyard_devcluster.apiserver.scraping import Scrapes, address_of, parse, quantile

FIRST = """# TYPE :server:requests counter
:server:requests{model="a",status="OK"} 10
:server:requests{model="b {x}",status="OK"} 1
:server:latency_bucket{le="10"} 0
:server:latency_bucket{le="20"} 0
:server:latency_bucket{le="+Inf"} 0
queue_depth 3
nonsense
broken NaN-ish
"""
LATER = """:server:requests{model="a",status="OK"} 40
:server:requests{model="b {x}",status="OK"} 1
:server:requests{model="b {x}",status="NOT_FOUND"} 10
:server:latency_bucket{le="10"} 50
:server:latency_bucket{le="20"} 100
:server:latency_bucket{le="+Inf"} 100
queue_depth 5
queue_depth{of="x"} 0.5
"""


def scraped(*told: tuple[float, str]) -> Scrapes:
    moments = iter([at for at, _ in told])
    scrapes = Scrapes(clock=lambda: next(moments))
    for _, text in told:
        scrapes.add("uid", text)
    return scrapes


def value(scrapes: Scrapes, metric: str) -> float | None:
    found = scrapes.value("uid", metric)
    return found and found[0]


def test_lines_that_are_no_series_are_left_out() -> None:
    assert len(parse(FIRST)) == 6


@pytest.mark.parametrize(
    ("metric", "found"),
    [
        ("server_requests_per_second", 4.0),
        ("server_latency_p95", 19.0),
        ("server_latency_p50", 10.0),
        ("queue_depth", 5.5),
        ("server_nothing_per_second", None),
        ("nothing_p95", None),
        ("nothing", None),
    ],
)
def test_two_looks_give(metric: str, found: float | None) -> None:
    assert value(scraped((0.0, FIRST), (10.0, LATER)), metric) == found


def test_one_look_gives_no_rate() -> None:
    scrapes = scraped((0.0, FIRST))

    assert value(scrapes, "server_requests_per_second") is None
    assert value(scrapes, "queue_depth") == 3


def test_a_counter_that_was_started_anew_counts_from_nothing() -> None:
    assert value(scraped((0.0, "served 100"), (10.0, "served 20")), "served_per_second") == 2.0


def test_a_rate_is_taken_over_half_a_minute_at_most() -> None:
    scrapes = scraped((0.0, "served 0"), (50.0, "served 0"), (75.0, "served 50"))

    assert value(scrapes, "served_per_second") == 2.0


def test_pods_that_are_gone_are_forgotten() -> None:
    scrapes = scraped((0.0, FIRST))
    scrapes.forget_all_but({"another"})

    assert value(scrapes, "queue_depth") is None


def test_beyond_the_last_limit_is_the_last_limit() -> None:
    assert quantile(0.95, {'{le="10"}': 1.0, '{le="+Inf"}': 100.0}) == 10.0
    assert quantile(0.95, {'{le="10"}': 0.0, '{le="+Inf"}': 0.0}) is None


@pytest.mark.parametrize(
    ("changed", "address"),
    [
        ({}, "http://127.64.0.5:8501/monitoring/metrics"),
        ({"prometheus.io/path": None}, "http://127.64.0.5:8501/metrics"),
        ({"prometheus.io/scrape": "false"}, None),
        ({"prometheus.io/port": "http"}, None),
        ({"ready": "False"}, None),
    ],
    ids=str,
)
def test_a_pod_says_where_it_has_metrics(changed: dict[str, Any], address: str | None) -> None:
    annotations = {
        "prometheus.io/scrape": "true", "prometheus.io/port": "8501", "prometheus.io/path": "/monitoring/metrics",
    } | changed  # fmt: skip
    ready = {"type": "Ready", "status": annotations.pop("ready", "True")}
    annotations = {key: text for key, text in annotations.items() if text}
    status = {"podIP": "127.64.0.5", "conditions": [ready]}

    assert address_of({"metadata": {"annotations": annotations}, "status": status}) == address
