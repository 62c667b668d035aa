from dataclasses import replace
from typing import Any

import pytest

from support.serving import a_succeeded_job
from trainyard_operator.serving.source import ModelVersion, is_kept, offer, offers, parse_uri, waiting
from trainyard_operator.workloads.blockers import Blocker


@pytest.mark.parametrize(
    ("uri", "claim", "model", "version"),
    [
        ("pvc://models/churn/1", "models", "churn", 1),
        ("pvc://models/churn/17/", "models", "churn", 17),
        ("pvc://models/team/a/churn/0042", "models", "team/a/churn", 42),
        ("pvc://store.eu/churn/1", "store.eu", "churn", 1),
    ],
)
def test_a_uri_names_claim_model_and_version(uri: str, claim: str, model: str, version: int) -> None:
    found = parse_uri(uri)

    assert isinstance(found, ModelVersion)
    assert (found.claim, found.model, found.version) == (claim, model, version)
    assert found.uri == uri.rstrip("/")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://lake/churn/1",
        "gs://b/a/churn/0042",
        "abfss://box@account.dfs.core.windows.net/p/churn/3",
        "hdfs://n:1/m/c/2",
    ],
)
def test_a_version_in_a_store_that_is_no_claim_keeps_its_uri(uri: str) -> None:
    found = parse_uri(uri)

    assert isinstance(found, ModelVersion)
    assert (found.uri, found.claim) == (uri, None)


@pytest.mark.parametrize(
    "uri",
    [
        "", "ftp://models/churn/1", "s3://models/1", "s3:///churn/1", "s3://lake/churn/1?x=2", "s3://a/../b/1",
        "pvc://models/churn", "pvc://models/1", "pvc://models/churn/v1", "pvc:///churn/1",
        "pvc://models/../other/1", "pvc://models/churn/../../1", "pvc://models//churn/1", "pvc://models/churn/-1",
    ],
)  # fmt: skip
def test_any_other_uri_is_refused_with_the_form_that_is_expected(uri: str) -> None:
    found = parse_uri(uri)

    assert isinstance(found, Blocker)
    assert found.reason == "InvalidModelUri"
    assert "pvc://<claim>/<model>/<version>" in found.message


def without(job: dict[str, Any], *path: str) -> dict[str, Any]:
    inner = job
    for part in path[:-1]:
        inner = inner[part]
    del inner[path[-1]]
    return job


def test_the_newest_is_the_one_that_was_completed_last() -> None:
    jobs = [a_succeeded_job(1), a_succeeded_job(3, completed="2026-11-23T08:00:00Z"), a_succeeded_job(2)]

    found, *_ = offers(jobs)

    assert found is not None
    assert (found.version, found.training_job) == (2, "churn-2")


def test_a_job_that_reuses_a_version_is_as_old_as_the_version() -> None:
    old, new = a_succeeded_job(1, completed="2026-11-30T09:00:00Z"), a_succeeded_job(2)
    old["status"]["model"]["created"] = "2026-11-23T09:01:00Z"

    found, _ = offers([old, new])

    assert found is not None
    assert (found.version, found.trained) == (2, "2026-11-23T09:02:00Z")


def test_a_version_is_not_newer_than_its_job_whatever_the_trainer_says() -> None:
    job = a_succeeded_job(1)
    job["status"]["model"]["created"] = "2999-01-01T00:00:00Z"

    found = offer(job)

    assert found is not None
    assert found.trained == "2026-11-23T09:01:00Z"


def test_jobs_completed_at_once_are_told_apart_by_their_creation_and_then_by_name() -> None:
    at = "2026-11-23T09:30:00Z"
    early = a_succeeded_job(1, completed=at, created="2026-11-23T09:00:00Z", name="z")
    late = a_succeeded_job(2, completed=at, created="2026-11-23T09:01:00Z", name="b")
    twin = a_succeeded_job(3, completed=at, created="2026-11-23T09:01:00Z", name="a")

    for order in ([early, late, twin], [twin, late, early]):
        found, *_ = offers(order)
        assert found is not None
        assert found.training_job == "b"


@pytest.mark.parametrize("path", [("status",), ("status", "model"), ("status", "conditions")])
def test_a_job_without_a_finished_model_offers_nothing(path: tuple[str, ...]) -> None:
    assert offer(without(a_succeeded_job(1), *path)) is None


def test_a_status_nobody_can_read_offers_nothing() -> None:
    job = a_succeeded_job(1)
    job["status"]["model"] = {"version": "one"}

    assert offers([job]) == []


def trained(minute: int, uri: str = "pvc://models/churn/2", selector: str = "model=churn") -> ModelVersion:
    found = parse_uri(uri)
    assert isinstance(found, ModelVersion)
    return replace(found, trained=f"2026-11-23T09:{minute:02}:00Z", selector=selector)


@pytest.mark.parametrize(
    ("candidate", "gone", "kept"),
    [
        pytest.param(None, True, True, id="what serves is not taken away for want of an offer"),
        pytest.param(None, False, True, id="nor when its job lost its labels"),
        pytest.param((1, "pvc://models/churn/1"), True, True, id="a deleted job takes no model along"),
        pytest.param((1, "pvc://models/churn/9"), True, True, id="whatever the numbers are"),
        pytest.param((1, "pvc://models/other/1"), True, True, id="nor for another model that is older"),
        pytest.param((1, "pvc://elsewhere/churn/3"), True, True, id="nor for another store's that is older"),
        pytest.param((2, "pvc://models/other/1"), True, True, id="nor for one of the same second"),
        pytest.param((1, "pvc://models/churn/1"), False, False, id="a job that is there but not chosen does"),
        pytest.param((3, "pvc://models/churn/3"), True, False, id="what was trained later is taken"),
        pytest.param((3, "pvc://models/churn/1"), True, False, id="also where numbers began again"),
        pytest.param((3, "pvc://models/other/1"), True, False, id="also of another model"),
        pytest.param((1, "pvc://models/other/1", "model=other"), True, False, id="another selector is another wish"),
    ],
)
def test_the_version_that_serves_is_kept_unless_there_is_a_reason(
    candidate: tuple[Any, ...] | None, gone: bool, kept: bool
) -> None:
    assert is_kept(trained(2), trained(*candidate) if candidate else None, gone=gone) is kept


def test_without_any_job_the_labels_that_were_looked_for_are_told() -> None:
    found = waiting([], {"model": "churn", "tier": "gold"}, "team")

    assert found.reason == "NoTrainingJob"
    assert "model=churn, tier=gold" in found.message


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        pytest.param([], "and there is no other;", id="none"),
        pytest.param([{"model": "churn"}], "; did you mean 'model=churn'?; there is job-0 (model=churn);", id="near"),
        pytest.param([{"app": "x"}], "model=chrun; there is job-0 (app=x);", id="far"),
        pytest.param([{}], "; there is job-0 (no labels);", id="no labels"),
        pytest.param(
            [{"n": str(n)} for n in range(5)], "there is job-4 (n=4), job-3 (n=3), job-2 (n=2) and 2 more;", id="many"
        ),
        pytest.param([{f"key-{n}": "v" * 60 for n in range(60)}], "v);", id="bounded"),
    ],
)
def test_without_a_matching_job_those_that_there_are_are_told(labels: list[dict[str, str]], said: str) -> None:
    jobs = [
        a_succeeded_job(1, name=f"job-{n}", labels=one, created=f"2026-11-23T09:00:0{n}Z")
        for n, one in enumerate(labels)
    ]

    found = waiting([], {"model": "chrun"}, "team", jobs)

    assert said in found.message
    assert len(found.message) < 400


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        ({}, "WaitingForTraining", "is Pending"),
        ({"phase": "Running"}, "WaitingForTraining", "is Running"),
        (
            {"phase": "Failed", "failure": {"reason": "Diverged", "message": "loss is NaN"}},
            "TrainingFailed",
            "(Diverged)",
        ),
    ],
)
def test_the_latest_job_says_what_is_waited_for(status: dict[str, Any], reason: str, said: str) -> None:
    old = a_succeeded_job(1, created="2026-11-22T09:00:00Z") | {"status": {"phase": "Failed"}}

    found = waiting([a_succeeded_job(2) | {"status": status}, old], {"model": "churn"}, "team")

    assert found.reason == reason
    assert "'churn-2'" in found.message
    assert said in found.message


def test_a_job_that_trains_again_offers_what_it_made_before() -> None:
    job = a_succeeded_job(1)
    completed = job["status"].pop("completionTime")
    job["status"]["conditions"][0]["status"] = "False"
    job["status"]["model"]["created"] = completed
    assert offer(job) is None

    job["status"] |= {"phase": "Running", "run": 1}

    assert offer(job) == offer(a_succeeded_job(1))
    assert offers([a_succeeded_job(2, completed="2026-11-23T08:00:00Z"), job])[0] == offer(job)
