"""Where a model comes from: the code that made it."""

from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import pytest

from support.signing_keys import write_keys
from support.trainer_runs import SpecBuilder, a_spec, a_tree_spec, environment
from trainyard_api import names
from trainyard_trainer.export.manifest import describe
from trainyard_trainer.spec import read_run

DATA = Path("table.csv")
OPTIONAL = ("ydf", "optuna", "dp-accounting", "model-signing")


def code_of(spec: SpecBuilder, folder: Path, training: dict[str, Any]) -> dict[str, Any]:
    private, _ = write_keys(folder)
    env = environment(folder) | {names.SIGNING_KEY_ENV: str(private)}
    run = read_run(str(spec.write(folder)), env)
    manifest = describe(run, signatures={}, metrics={}, training=training, data={}, slices={}, evaluation={})
    return dict(cast(dict[str, Any], manifest["code"]))


@pytest.mark.parametrize(
    ("spec", "training", "further"),
    [
        pytest.param(a_spec(DATA), {}, [], id="plain"),
        pytest.param(a_tree_spec(DATA, "randomForest"), {}, ["ydf"], id="trees"),
        pytest.param(a_spec(DATA), {"tuning": {"trials": 3}}, ["optuna"], id="the best of a search"),
        pytest.param(
            a_tree_spec(DATA, "gradientBoostedTrees"), {"tuning": {"trials": 3}}, ["ydf", "optuna"], id="searched trees"
        ),
        pytest.param(a_spec(DATA).with_privacy(noiseMultiplier=1.0), {}, ["dp-accounting"], id="private"),
        pytest.param(
            a_spec(DATA).with_output(signing={"secretKeyRef": {"name": "keys", "key": "k.pem"}}),
            {},
            ["model-signing"],
            id="signed",
        ),
    ],
)
def test_it_lists_the_packages_that_were_used_with_their_versions(
    spec: SpecBuilder, training: dict[str, Any], further: list[str], tmp_path: Path
) -> None:
    code = code_of(spec, tmp_path, training)

    assert {name: code[name] for name in OPTIONAL if name in code} == {name: version(name) for name in further}
    assert code["keras"] == version("keras")
    assert {"python", "trainyard-operator", "tensorflow", "numpy", "pyarrow"} <= code.keys()
