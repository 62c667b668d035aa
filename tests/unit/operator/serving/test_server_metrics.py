"""What a page of metrics says, and that no page can do harm."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard_modelserver.metrics import Metrics
from trainyard_operator.serving.server_metrics import Buckets, ServerMetrics, parse


def a_page() -> Metrics:
    metrics = Metrics()
    for status, count in (("OK", 7), ("INTERNAL", 2), ("UNAVAILABLE", 1), ("INVALID_ARGUMENT", 9), ("NOT_FOUND", 9)):
        metrics.request_count.add("churn", status, by=count)
    metrics.request_count.add("other", "INTERNAL", by=100)
    for call, entrypoint in (("Predict", "GRPC"), ("predict", "REST"), ("", "REST")):
        for latency in (500, 700, 20_000):
            metrics.request_latency.add(latency, "churn", call, entrypoint)
    return metrics


def test_server_errors_and_answers_of_the_model_are_counted_and_nothing_else() -> None:
    found = parse(a_page().page().encode(), "churn")

    assert found is not None
    assert found.errors == 3
    assert found.latency.total == 6
    assert math.isinf(found.latency.limits[-1])


def test_a_page_without_the_model_tells_of_no_request() -> None:
    assert parse(b"", "churn") == ServerMetrics(Buckets(), 0)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        pytest.param(0.5, 100, id="a half"),
        pytest.param(0.95, 190, id="inside a bucket"),
        pytest.param(0.99, 198, id="near its end"),
        pytest.param(1.0, 200, id="all"),
    ],
)
def test_a_quantile_is_what_prometheus_says(share: float, expected: float) -> None:
    buckets = Buckets((100, 200, math.inf), (50, 100, 100))

    assert buckets.quantile(share) == pytest.approx(expected)


def test_what_is_beyond_the_last_limit_is_that_limit_and_nothing_has_no_quantile() -> None:
    assert Buckets((100, math.inf), (0, 10)).quantile(0.5) == 100
    assert Buckets().quantile(0.5) is None


@pytest.mark.parametrize(
    "page",
    [
        ':tensorflow:serving:request_latency_bucket{model_name="m",API="p",le="10"} 3',
        ':tensorflow:serving:request_latency_bucket{model_name="m",API="p",le="10"} 3\n'
        ':tensorflow:serving:request_latency_bucket{model_name="m",API="p",le="+Inf"} 2',
        "\n".join(
            f':tensorflow:serving:request_latency_bucket{{model_name="m",API="p",le="{limit}"}} 1'
            for limit in [*range(1, 200), "+Inf"]
        ),
        "\n".join(f':tensorflow:serving:request_count{{model_name="m",status="A{n}"}} 9e15' for n in range(3)),
    ],
    ids=["no end", "fewer than below", "too many limits", "too many requests"],
)
def test_a_page_that_makes_no_sense_is_no_answer(page: str) -> None:
    assert parse(page.encode(), "m") is None


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e999", "x", "1" * 50])
def test_a_number_that_is_none_is_left_out(value: str) -> None:
    page = f':tensorflow:serving:request_count{{model_name="m",status="INTERNAL"}} {value}'

    assert parse(page.encode(), "m") == ServerMetrics(Buckets(), 0)


@given(st.binary(max_size=2000) | st.text(max_size=500).map(lambda text: text.encode(errors="replace")))
def test_no_page_raises(page: bytes) -> None:
    parse(page, "m")
    parse(b':tensorflow:serving:request_count{model_name="m",status="' + page + b'"} 1\n' + page, "m")
