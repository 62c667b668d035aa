"""Code of a user's own that ends the process, prints, starts threads or takes signals."""

import json
import signal
from pathlib import Path

import pytest

from support.trainer_runs import SpecBuilder, environment, start
from support.user_programs import a_program, code, train
from trainyard_api import names

USUAL = """
import sys
import keras

def build(data, *, exits=None):
    return keras.Sequential([Layer(exits), keras.layers.Dense(data.outputs)])

class Layer(keras.layers.Layer):
    def __init__(self, exits):
        super().__init__()
        self.exits = exits

    def call(self, x, training=False):
        if training and self.exits is not None:
            sys.exit(self.exits)
        return x
"""


def spec(table: Path, function: str = "build", **hyperparameters: object) -> SpecBuilder:
    program = a_program(table, f"manners:{function}", hyperparameters=hyperparameters)
    return program.with_data(features=["size", "count"]).with_fit(epochs=1)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            "import sys\n\ndef build(data):\n    print('no licence')\n    sys.exit()\n",
            "entryPoint manners:build failed: SystemExit at manners.py:5: sys.exit(None) was called",
        ),
        (
            "import sys\n\ndef main():\n    return 'usage: manners'\n\nsys.exit(main())\n",
            "manners:build cannot be imported: SystemExit at manners.py:6: sys.exit('usage: manners') was called",
        ),
        (
            "class Odd(BaseException):\n    pass\n\ndef build(data):\n    raise Odd('no')\n",
            "entryPoint manners:build failed: Odd at manners.py:5: no",
        ),
        (
            "def build(data):\n    raise KeyError('\\x1b[1mred\\x1b[0m')\n",
            "entryPoint manners:build failed: KeyError at manners.py:2: red",
        ),
        (
            "import keras, sys\nclass L(keras.layers.Layer):\n    def call(self, x):\n        sys.exit(0)\n"
            "def build(data):\n    return keras.Sequential([L(), keras.layers.Dense(1)])\n",
            "cannot be called with dense_features: SystemExit at manners.py:4: sys.exit(0) was called",
        ),
    ],
)
def test_code_that_ends_the_process_is_bad_input_with_the_line(
    module: str, message: str, table: Path, tmp_path: Path
) -> None:
    result = train(spec(table), tmp_path, "manners.py", module)

    assert (result.code, result.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput"), result.stderr
    assert message in result.report["message"]


def test_a_layer_that_fails_in_training_only_is_bad_input_too(table: Path, tmp_path: Path) -> None:
    result = train(spec(table, exits=0), tmp_path, "manners.py", USUAL)

    assert (result.code, result.report["reason"], result.report["model"]) == (names.EXIT_BAD_INPUT, "BadInput", None)
    assert "build cannot be trained: SystemExit at manners.py:15: sys.exit(0) was called" in result.report["message"]


def test_a_training_that_its_own_layer_ends_later_does_not_look_like_a_success(table: Path, tmp_path: Path) -> None:
    module = USUAL.replace(
        "if training and", "self.calls = getattr(self, 'calls', 0) + training\n        if self.calls > 1 and"
    )
    result = train(spec(table, exits=0), tmp_path, "manners.py", module)

    assert (result.code, result.report["reason"], result.report["model"]) == (1, "Failed", None)
    assert "SystemExit" in result.report["message"]


def test_an_error_deep_in_other_modules_names_the_last_line_of_the_users_own(table: Path, tmp_path: Path) -> None:
    code(tmp_path, "sizes.py", "import json\n\ndef read(text):\n    return json.loads(text)\n")

    module = "import sizes\n\ndef build(data):\n    return sizes.read('{')\n"
    result = train(spec(table), tmp_path, "manners.py", module)

    assert result.code == names.EXIT_BAD_INPUT
    assert "manners:build failed: JSONDecodeError at sizes.py:4: Expecting property name" in result.report["message"]


def test_what_code_prints_goes_to_the_log_and_not_between_the_lines_for_programs(table: Path, tmp_path: Path) -> None:
    module = "print('imported', end='')\n" + USUAL.replace(
        "    return keras.Seq", "    print('built')\n    return keras.Seq"
    )

    result = train(spec(table), tmp_path, "manners.py", module)

    assert result.code == 0, result.stderr
    assert result.the("done")
    assert "imported" in result.stderr
    assert "built" in result.stderr


@pytest.mark.thorough
def test_code_that_takes_sigterm_does_not_keep_a_training_from_saving_its_work(table: Path, tmp_path: Path) -> None:
    module = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + USUAL.replace(
        "    return keras.Seq", "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    return keras.Seq"
    )
    job = spec(table).with_fit(epochs=100_000).with_checkpoint(everySteps=10)
    process = start(job, tmp_path, code(tmp_path, "manners.py", module))
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "epoch":
            process.send_signal(signal.SIGTERM)
            break

    try:
        process.communicate(timeout=60)
    finally:
        process.kill()

    assert process.returncode == names.EXIT_STOPPED
    assert json.loads((tmp_path / "termination-log").read_text())["lastCheckpoint"]["step"] > 0


@pytest.mark.thorough
def test_threads_that_code_starts_neither_fail_a_training_nor_keep_it_from_ending(table: Path, tmp_path: Path) -> None:
    module = USUAL.replace(
        "    return keras.Seq",
        "    threading.Thread(target=threading.Event().wait).start()\n"
        "    threading.Thread(target=lambda: 1 / 0).start()\n    return keras.Seq",
    )
    process = start(spec(table), tmp_path, code(tmp_path, "manners.py", "import threading\n" + module))

    _, errors = process.communicate()

    assert process.returncode == 0, errors
    assert "ZeroDivisionError" in errors
    assert (Path(environment(tmp_path)[names.MODEL_DIR_ENV]) / "1" / names.MANIFEST_FILE).exists()
