"""What is kept of trials: in a file that survives, and in a table for people."""

from pathlib import Path

from trainyard_trainer.reporting.history import HISTORY_FILE
from trainyard_trainer.tuning.trials import Trial, Trials
from trainyard_trainer.tuning.worker import TrialFolder


def some_trials(path: Path) -> Trials:
    trials = Trials(path)
    for number, rate in enumerate([0.1, 0.01, 0.001, 0.5]):
        trials.put(Trial(number, {"fit.optimizer.learningRate": rate}))
    trials.reached(0, (0.7, 0.8))
    trials.end(0, "complete", value=0.8)
    trials.end(1, "complete", value=0.9)
    trials.end(2, "failed", message="the loss is not a finite number, it is too high")
    return trials


def test_trials_are_the_same_when_they_are_read_again(tmp_path: Path) -> None:
    trials = some_trials(tmp_path / "folder" / "trials.json")

    again = Trials.load(tmp_path / "folder" / "trials.json")

    assert list(again) == list(trials)
    assert [each.ended for each in again] == [True, True, True, False]
    assert again[0].values == (0.7, 0.8)


def test_the_best_trial_depends_on_the_direction_and_only_complete_ones_count(tmp_path: Path) -> None:
    trials = some_trials(tmp_path / "trials.json")

    assert [each.number for each in trials.best_first(higher=True)] == [1, 0]
    assert [each.number for each in trials.best_first(higher=False)] == [0, 1]


def test_the_table_has_a_row_for_every_trial(tmp_path: Path) -> None:
    some_trials(tmp_path / "trials.json").write_table(
        tmp_path / "logs" / "trials.csv", ["fit.optimizer.learningRate"], "val_accuracy"
    )

    assert (tmp_path / "logs" / "trials.csv").read_text().splitlines() == [
        "trial,state,val_accuracy,epochs,fit.optimizer.learningRate,message",
        "0,complete,0.8,2,0.1,",
        "1,complete,0.9,0,0.01,",
        '2,failed,,0,0.001,"the loss is not a finite number, it is too high"',
        "3,running,,0,0.5,",
    ]


def test_a_history_that_is_being_written_counts_to_its_last_whole_line(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    assert folder.values("val_loss") == ()
    folder.logs.mkdir()
    (folder.logs / HISTORY_FILE).write_text("epoch,val_loss\n1,0.5\n2,0.25\n3,0.1")

    assert folder.values("val_loss") == (0.5, 0.25)
    assert folder.report() == {}
