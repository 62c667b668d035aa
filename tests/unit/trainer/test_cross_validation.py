"""k-fold cross-validation: which rows each fold holds back, what is told, and that a killed job goes on."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.prepared import look
from support.trainer_fits import checkpoint_folder, fitted
from support.trainer_runs import SpecBuilder, a_spec, a_tree_spec, environment, run
from trainyard_api import names
from trainyard_trainer.cross_validation import Spread, fold_part, over_folds, run_of_fold
from trainyard_trainer.data.profile import Profile
from trainyard_trainer.devices import Devices
from trainyard_trainer.errors import BadInput
from trainyard_trainer.prepare import prepare
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.progress_server import ProgressTracker
from trainyard_trainer.signals import StopSignal
from trainyard_trainer.spec import read_run
from trainyard_trainer.stores.folder_checkpoints import CheckpointFolder
from trainyard_trainer.trees.fit import fit_forest

ROWS = 90


def write(path: Path) -> Path:
    random = np.random.default_rng(5)
    x = random.normal(size=ROWS)
    label = np.where(x + random.normal(size=ROWS) / 2 > 0, "above", "below")
    groups = ["abcdefghi"[row % 9] for row in range(ROWS)]
    pq.write_table(pa.table({"x": x, "y": random.normal(size=ROWS), "group": groups, "label": label}), path)
    return path


def folds_of(spec: SpecBuilder, folder: Path, folds: int) -> list[Profile]:
    whole = read_run(str(spec.write(folder)), environment(folder))
    tracker, log = ProgressTracker(), EventLog(io.StringIO())
    return [prepare(run_of_fold(whole, i, folds), tracker=tracker, event_log=log).profile for i in range(folds)]


def held_back(profile: Profile) -> np.ndarray:
    return np.concatenate([profile.mask(number) for number in range(len(profile.masks))])


def trained_by_hand(spec: SpecBuilder, folder: Path, folds: int) -> dict[str, Spread]:
    """Return what the folds of a spec of trees tell, each trained for itself."""
    whole, found = read_run(str(spec.write(folder)), environment(folder)), []
    log, stop = EventLog(io.StringIO()), StopSignal(leave=lambda: None)
    for fold in range(folds):
        own, tracker = run_of_fold(whole, fold, folds), ProgressTracker()
        prepared = prepare(own, tracker=tracker, event_log=log)
        checkpoints = CheckpointFolder(own.folders.checkpoints / fold_part(fold), keep=2)
        trained = fit_forest(
            prepared.run, prepared, Devices(42), checkpoints=checkpoints, tracker=tracker, event_log=log, stop=stop
        )
        found.append(trained.end.metrics)
    return over_folds(found)


def test_folds_are_told_and_the_model_is_the_one_without_them(tmp_path: Path) -> None:
    data = write(tmp_path / "t.parquet")
    spec = a_tree_spec(data, "gradientBoostedTrees", numTrees=4).with_data(exclude=["group"])
    folded = spec.with_data(validation={"fraction": 0.2, "folds": 3})
    for folder in ("folded", "plain", "hand"):
        (tmp_path / folder).mkdir()
    by_hand = trained_by_hand(folded, tmp_path / "hand", 3)
    first = checkpoint_folder(tmp_path / "folded") / fold_part(0)
    shutil.copytree(checkpoint_folder(tmp_path / "hand") / fold_part(0), first)  # as a killed job leaves them

    result = run(folded, tmp_path / "folded")

    assert result.code == 0, result.stderr
    version = tmp_path / "folded" / "store" / "sample" / "1"
    found = json.loads((version / names.MANIFEST_FILE).read_text())["evaluation"]["crossValidation"]
    assert found == {"folds": 3, "metrics": by_hand}
    assert result.the("resumed")["path"].startswith(str(first))
    assert found["metrics"]["val_loss"]["deviation"] > 0
    card = (version / names.MODEL_CARD_FILE).read_text()
    assert "Trained without each of 3 folds of the rows" in card
    assert f"| val_accuracy | {found['metrics']['val_accuracy']['mean']:.6g} |" in card
    assert result.the("cross-validated")["metrics"] == found["metrics"]
    assert result.report["metrics"] == fitted(spec, tmp_path / "plain").trained.end.metrics
    assert not list((tmp_path / "folded").rglob("*.ckpt"))


def test_each_row_is_held_back_once_but_for_the_first_of_each_class(tmp_path: Path) -> None:
    which = [held_back(each) for each in folds_of(a_spec(write(tmp_path / "t.parquet")), tmp_path, 4)]

    times = np.sum(which, axis=0)
    assert sorted(times)[:3] == [0, 0, 1]
    assert times.max() == 1
    assert [each.sum() for each in which] == pytest.approx([22, 22, 22, 22], abs=2)


def test_whole_groups_make_up_the_folds(tmp_path: Path) -> None:
    spec = a_spec(write(tmp_path / "t.parquet")).with_data(validation={"groupBy": "group", "fraction": 0.2})

    which = [held_back(each) for each in folds_of(spec, tmp_path, 3)]

    groups = [{row % 9 for row in np.flatnonzero(each)} for each in which]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 8
    assert [each.sum() for each in which] == [10 * len(each) for each in groups]


def test_the_rows_of_the_test_are_in_no_fold(tmp_path: Path) -> None:
    spec = a_spec(write(tmp_path / "t.parquet")).with_data(test={"fraction": 0.2})

    folds = folds_of(spec, tmp_path, 3)

    assert len({each.test_masks[0].tobytes() for each in folds}) == 1
    assert not any((held_back(each) & each.mask(0, "test")).any() for each in folds)
    assert sum(each.validation_rows for each in folds) == ROWS - folds[0].test_rows - 2


def test_mean_and_spread_are_those_of_the_metrics_that_all_folds_have() -> None:
    found = over_folds([{"loss": 1, "val_loss": 1.0, "val_auc": 0.5}, {"loss": 1, "val_loss": 3.0}])

    assert found == {"val_loss": {"mean": 2.0, "deviation": pytest.approx(2**0.5), "values": [1.0, 3.0]}}


def test_more_folds_than_rows_are_said(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": np.arange(6.0), "label": ["a", "b"] * 3}), tmp_path / "t.parquet")

    with pytest.raises(BadInput, match=r"fold \d+ has no row; use fewer folds"):
        folds_of(a_spec(tmp_path / "t.parquet").with_fit(batchSize=1), tmp_path, 20)


@pytest.mark.parametrize(
    ("data", "more", "why"),
    [
        pytest.param({"uri": "v.parquet"}, {}, "folds take turns in being held back", id="uri"),
        pytest.param({"timeColumn": "x"}, {}, "folds take turns in being held back", id="time"),
        pytest.param(
            {}, {"privacy": {"targetEpsilon": 3}}, "folds train several models with the same settings", id="private"
        ),
        pytest.param({}, {"roles": {"worker": {"replicas": 2}}}, "one after the other in one pod", id="workers"),
    ],
)
def test_what_does_not_go_with_folds_is_said(
    data: dict[str, Any], more: dict[str, Any], why: str, tmp_path: Path
) -> None:
    spec = a_spec(write(tmp_path / "t.parquet")).with_data(validation={"folds": 3, **data})
    spec = SpecBuilder(spec.manifest | {"spec": spec.manifest["spec"] | more})

    with pytest.raises(BadInput, match=why):
        read_run(str(spec.write(tmp_path)), environment(tmp_path))


def test_folds_leave_the_rows_of_the_model_alone(tmp_path: Path) -> None:
    data = write(tmp_path / "t.parquet")

    plain, folded = look(data), look(data, validation={"fraction": 0.2, "folds": 3})

    assert plain.prepared.profile.digest == folded.prepared.profile.digest
