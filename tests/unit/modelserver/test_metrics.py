"""The metrics page, line by line."""

from trainyard_modelserver.metrics import LATENCY, Counter, Histogram, Metrics, exponential


def test_a_counter_shows_the_label_values_it_has_counted() -> None:
    counter = Counter(":tensorflow:serving:request_count", "model_name", "status")
    assert counter.lines() == ["# TYPE :tensorflow:serving:request_count counter"]
    counter.add("m", "OK")
    counter.add("m", "OK", by=2)
    counter.add('a"\\', "NOT_FOUND")
    assert counter.lines()[1:] == [
        ':tensorflow:serving:request_count{model_name="a\\"\\\\",status="NOT_FOUND"} 1',
        ':tensorflow:serving:request_count{model_name="m",status="OK"} 3',
    ]


def test_a_counter_without_labels_has_empty_braces() -> None:
    counter = Counter(":tensorflow:core:graph_runs")
    counter.add()
    assert counter.lines()[1:] == [":tensorflow:core:graph_runs{} 1"]


def test_a_histogram_counts_up_and_a_value_on_a_limit_is_above_it() -> None:
    histogram = Histogram("h", exponential(10, 1.8, 3), "model_name")
    for value in (9.5, 10, 18, 1_000_000):
        histogram.add(value, "m")
    assert histogram.lines() == [
        "# TYPE h histogram",
        'h_bucket{model_name="m",le="10"} 1',
        'h_bucket{model_name="m",le="18"} 2',
        'h_bucket{model_name="m",le="32.4"} 3',
        'h_bucket{model_name="m",le="+Inf"} 4',
        'h_sum{model_name="m"} 1.00004e+06',
        'h_count{model_name="m"} 4',
    ]


def test_a_histogram_without_labels_has_only_the_limit() -> None:
    histogram = Histogram("h", (1,))
    histogram.add(0)
    assert histogram.lines()[1:] == ['h_bucket{le="1"} 1', 'h_bucket{le="+Inf"} 1', "h_sum{} 0", "h_count{} 1"]


def test_latencies_have_33_limits_growing_by_four_fifths() -> None:
    assert len(LATENCY) == 33
    assert [f"{limit:g}" for limit in LATENCY[:6]] == ["10", "18", "32.4", "58.32", "104.976", "188.957"]
    assert f"{LATENCY[-1]:g}" == "1.47476e+09"


def test_every_metric_is_named_from_the_start_in_order() -> None:
    page = Metrics().page()
    assert page == "".join(
        f"# TYPE :tensorflow:{name} {kind}\n"
        for name, kind in [
            ("cc:saved_model:load_attempt_count", "counter"),
            ("cc:saved_model:load_latency", "counter"),
            ("core:direct_session_runs", "counter"),
            ("core:graph_run_time_usecs", "counter"),
            ("core:graph_runs", "counter"),
            ("serving:batching_session:queuing_latency", "histogram"),
            ("serving:batching_session:wrapped_run_count", "counter"),
            ("serving:model_warmup_latency", "histogram"),
            ("serving:model_warmup_records_read", "counter"),
            ("serving:request_count", "counter"),
            ("serving:request_example_count_total", "counter"),
            ("serving:request_example_counts", "histogram"),
            ("serving:request_latency", "histogram"),
            ("serving:request_log_count", "counter"),
            ("serving:runtime_latency", "histogram"),
        ]
    )
