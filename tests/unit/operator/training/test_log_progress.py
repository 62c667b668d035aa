"""Progress that a program prints, from its log to the status."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.training import World, a_training_job
from trainyard_operator.cluster.errors import ApiError, Forbidden, Invalid, Unavailable
from trainyard_operator.training.log_progress import last
from trainyard_operator.training.progress import Snapshot
from trainyard_operator.training.progress_reader import LINES

POD = "churn-worker-0-0-abcde"
GOOD = (
    'trainyard: {"epoch": 3, "epochs": 10, "step": 300, "steps": 1000, "loss": 0.21, "metrics": {"val_accuracy": 0.93}}'
)
SAID = {"epoch": 3, "epochs": 10, "step": 300, "steps": 1000, "loss": 0.21, "metrics": {"val_accuracy": 0.93}}
CONTAINER = a_training_job().with_container(image="me/train:1")


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (GOOD, SAID),
        (f"reading rows\n{GOOD}\nepoch 4 begins\n", SAID),
        (f"{GOOD}\r\n", SAID),
        (f"  {GOOD}  \n", SAID),
        (f"300/1000 [====>    ]\r{GOOD}\n", SAID),
        ('trainyard:{"epoch":4}', {"epoch": 4, "phase": "training"}),
        ('trainyard: {"epoch": 4, "phase": "exporting"}', {"epoch": 4, "phase": "exporting"}),
        # The last one counts, by itself.
        (f'{GOOD}\ntrainyard: {{"epoch": 4}}\n', {"epoch": 4, "epochs": 0, "metrics": {}}),
        # One that is being written, or was cut off, or says nothing.
        (f'{GOOD}\ntrainyard: {{"epoch": 4, "lo', SAID),
        (f"{GOOD}\ntrainyard: about to start\ntrainyard: [3]\ntrainyard: null\ntrainyard:\n", SAID),
        (f'{GOOD}\ntrainyard: {{}}\ntrainyard: {{"note": "hi"}}\ntrainyard: {{"epoch": "four"}}\n', SAID),
        (f"{GOOD}\ntrainyard: {'[' * 100_000}\n", SAID),
        (f'{GOOD}\ntrainyard: {{"epoch": 1{"0" * 5_000}}}\n', SAID),
        # What makes no sense is left out, and nothing else.
        (f'trainyard: {{"epoch": 4, "note": "{"x" * 200_000}"}}', {"epoch": 4}),
        (
            'trainyard: {"epoch": 4, "epochs": "ten", "step": -1, "phase": "party"}',
            {"epoch": 4, "epochs": 0, "step": 0},
        ),
        ('trainyard: {"epoch": 4, "phase": null, "steps": null}', {"epoch": 4, "phase": "training", "steps": 0}),
        (
            'trainyard: {"epoch": 4, "loss": NaN, "metrics": {"a": Infinity, "b": 1}}',
            {"loss": None, "metrics": {"b": 1}},
        ),
        ('trainyard: {"epoch": 4, "lastCheckpoint": {"step": -1}}', {"epoch": 4, "last_checkpoint": None}),
    ],
)
def test_the_last_line_that_says_something_counts(log: str, expected: dict[str, Any]) -> None:
    said = last(log)

    assert said is not None
    assert expected.items() <= said.model_dump().items()


@pytest.mark.parametrize(
    "log",
    [
        "",
        "\n\n",
        "epoch 3\n",
        '{"epoch": 3}\n',
        f"INFO {GOOD}\n",
        "trainyard: {}\n",
        'trainyard: {"epoch": tr',
        "\0\ufffd",
    ],
)
def test_a_log_without_such_a_line_says_nothing(log: str) -> None:
    assert last(log) is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*SAID, "phase", "samplesPerSecond"]), inner),
)


@given(ANYTHING)
def test_nothing_a_program_can_print_breaks_the_operator(said: Any) -> None:
    line = last(f"trainyard: {json.dumps(said)}\n")

    assert line is None or line.to_status().model_dump_json()


async def test_what_a_program_prints_comes_into_the_status() -> None:
    world = await World().put(CONTAINER).running()
    world.cluster.logs[POD] = f"password: hunter2\n{GOOD}\nepoch 4 begins\n"

    outcome = await world.settle()

    assert world.status()["progress"] == {
        "epoch": 3,
        "epochs": 10,
        "step": 300,
        "steps": 1000,
        "percent": 30,
        "summary": "3/10",
        "loss": "0.21",
        "metrics": {"val_accuracy": "0.93"},
        "updated": "2026-11-23T10:00:00Z",
        "advanced": "2026-11-23T10:00:00Z",
    }
    assert "hunter2" not in json.dumps(world.status())
    assert (world.status()["phase"], outcome.requeue_after) == ("Running", 60.0)


async def test_a_line_that_has_scrolled_away_is_remembered() -> None:
    world = await World().put(CONTAINER).running()
    world.cluster.logs[POD] = f"{GOOD}\n"
    await world.settle()

    world.cluster.logs[POD] += "step\n" * LINES
    await world.settle()

    assert world.status()["progress"]["summary"] == "3/10"


async def test_the_log_of_a_program_that_serves_its_progress_is_left_alone() -> None:
    world = await World().put(CONTAINER).running()
    world.progress.answer = Snapshot(phase="training", epoch=1, epochs=2)
    world.cluster.logs[POD] = GOOD
    world.cluster.calls.clear()

    await world.settle()

    assert world.status()["progress"]["summary"] == "1/2"
    assert ("log", "pods") not in world.cluster.calls


async def test_the_log_of_trainyards_own_trainer_is_left_alone() -> None:
    world = await World().put(a_training_job()).running()
    world.cluster.logs[POD] = GOOD

    await world.settle()

    assert "progress" not in world.status()
    assert ("log", "pods") not in world.cluster.calls


@pytest.mark.parametrize("failure", [Forbidden("no"), Invalid("not started"), Unavailable("late"), TimeoutError()])
async def test_a_log_that_cannot_be_read_does_no_harm(failure: ApiError | TimeoutError) -> None:
    world = await World().put(CONTAINER).running()
    world.cluster.logs[POD] = GOOD
    world.cluster.calls.clear()
    world.cluster.failure, world.cluster.fail_at = failure, 5

    outcome = await world.reconcile()

    assert world.cluster.calls[5] == ("log", "pods")
    assert "progress" not in world.status()
    assert (world.status()["phase"], outcome.requeue_after) == ("Running", 60.0)
