"""A search whose pod is lost with its disk: what is known of it is in the store that its model goes to."""

import csv
import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.stores import S3, every_third, s3_server
from support.trainer_runs import SpecBuilder, a_spec, run, start
from trainyard_api import names
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.objects import ObjectStore
from trainyard_trainer.stores.searches import StoredSearch

RATES = {"name": "fit.optimizer.learningRate", "values": ["0.05", "0.0005", "0.00005"]}


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        server.bucket("lab")
        yield server


def a_search(table: Path) -> SpecBuilder:
    return a_spec(table).with_fit(epochs=4).with_tuning(algorithm="grid", parameters=[RATES])


def stop_after_trials(spec: SpecBuilder, folder: Path, env: dict[str, str], count: int) -> None:
    """Run a search, and stop it as a node does once so many of its trials have ended."""
    with start(spec, folder, env) as process:
        assert process.stdout is not None
        for line in process.stdout:
            count -= json.loads(line)["event"] == "trial"
            if not count:
                process.send_signal(signal.SIGTERM)
                break
        process.communicate()
    assert process.returncode == names.EXIT_STOPPED


def keys(s3: S3) -> list[str]:
    return [key.rpartition("uid-of-sample/")[2] for key in s3.keys("lab") if ".training/" in key]


def rows(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(text.splitlines()))


@pytest.mark.thorough
def test_a_search_goes_on_in_a_new_pod_though_the_store_fails_every_third_request(
    s3: S3, table: Path, tmp_path: Path
) -> None:
    undisturbed = run(a_search(table), tmp_path)
    expected = next((tmp_path / "store").rglob("trials.csv")).read_text()
    stored = a_search(table).with_store("s3://lab/models")
    lost, fresh = tmp_path / "lost", tmp_path / "fresh"
    lost.mkdir()
    fresh.mkdir()

    with s3.failing(every_third):
        stop_after_trials(stored, lost, s3.env, 2)
        known = json.loads(s3.get("lab", "models/sample/.training/uid-of-sample/tuning/trials.json"))
        early = rows(s3.get("lab", "models/sample/.training/uid-of-sample/logs/trials.csv").decode())
        kept = keys(s3)
        shutil.rmtree(lost)
        done = run(stored, fresh, s3.env)

    assert [each["state"] for each in known][:2] == ["complete", "complete"]  # a third may have begun
    assert [row["state"] for row in early][:2] == ["complete", "complete"]
    assert {key.split("/")[1] for key in kept if key.startswith("tuning/")} == {"trials.json", "trial-00000"}
    assert done.code == 0, done.stderr
    assert [each["trial"] for each in done.events if each["event"] == "trial"] == [2]
    assert "resumed" in [each["event"] for each in done.events]  # the best one's weights, brought from the store
    assert done.the("tuned")["trial"] == undisturbed.the("tuned")["trial"] == 0
    assert done.report["metrics"] == undisturbed.report["metrics"]
    assert s3.get("lab", "models/sample/.training/uid-of-sample/logs/trials.csv").decode().splitlines() == (
        expected.splitlines()
    )
    manifest = json.loads(s3.get("lab", "models/sample/1/trainyard.json"))
    assert [each["trial"] for each in manifest["training"]["tuning"]["best"]] == [0, 1, 2]
    assert all(key.startswith("logs/") for key in keys(s3))
    assert "logs/history.csv" in keys(s3)


def a_store(s3: S3) -> StoredSearch:
    return StoredSearch(ObjectStore("s3://lab/other", Access(s3.env)), ".training/a")


def a_trial(folder: Path, number: int) -> Path:
    path = folder / f"trial-{number:05d}"
    (path / "logs").mkdir(parents=True)
    (path / "logs" / "history.csv").write_text(f"epoch\n{number}\n")
    return path


def test_only_the_best_trial_stays_and_is_brought_whole_to_a_disk_that_lacks_it(s3: S3, tmp_path: Path) -> None:
    (tmp_path / "trials.json").write_text("[]")
    (tmp_path / "trials.csv").write_text("trial\n")
    search, other = a_store(s3), tmp_path / "other"
    for best in (a_trial(tmp_path, 0), a_trial(tmp_path, 1)):
        search.keep_best(best, best.rglob("*.csv"))
        search.keep(tmp_path / "trials.json", tmp_path / "trials.csv")
        search.drop_others(best)

    a_store(s3).fetch(other / "trials.json")
    for number in (0, 1):
        a_store(s3).fetch_trial(other / f"trial-{number:05d}")

    assert (other / "trials.json").read_text() == "[]"
    assert (other / "trial-00001" / "logs" / "history.csv").read_text() == "epoch\n1\n"
    assert not (other / "trial-00000" / "logs").exists()

    search.clear()
    search.clear()
    assert [key for key in s3.keys("lab") if "other/" in key] == ["other/.training/a/logs/trials.csv"]


def test_a_list_on_the_disk_is_newer_than_that_of_the_store(s3: S3, tmp_path: Path) -> None:
    for name in ("trials.json", "trials.csv"):
        (tmp_path / name).write_text("old")
    a_store(s3).keep(tmp_path / "trials.json", tmp_path / "trials.csv")
    (tmp_path / "trials.json").write_text("new")

    a_store(s3).fetch(tmp_path / "trials.json")

    assert (tmp_path / "trials.json").read_text() == "new"
