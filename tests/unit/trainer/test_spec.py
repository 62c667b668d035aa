"""Reading a TrainingJob: in a pod and on a laptop, with messages a person can act on."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.trainer_runs import SpecBuilder, a_spec
from trainyard_api import names
from trainyard_trainer.errors import BadInput
from trainyard_trainer.spec import fingerprint, parse_job, read_run

SPEC = a_spec(Path("/data.csv"))


def in_volume(spec: SpecBuilder) -> SpecBuilder:
    return spec.with_data(source={"configMap": {"name": "rows"}})


def test_a_pod_gets_everything_from_its_environment(tmp_path: Path) -> None:
    env = {
        names.SPEC_ENV: str(in_volume(SPEC).write(tmp_path)),
        names.DATA_DIR_ENV: "/trainyard/data/rows.csv",
        names.MODEL_DIR_ENV: "/trainyard/store/sample",
        names.CHECKPOINT_DIR_ENV: "/trainyard/store/sample/.training/uid-of-sample/checkpoints",
        names.LOG_DIR_ENV: "/trainyard/store/sample/.training/uid-of-sample/logs",
        names.PORT_ENV: "8080",
    }

    run = read_run(None, env)

    assert (run.name, run.uid, run.port) == ("sample", "uid-of-sample", 8080)
    assert run.data_location == "/trainyard/data/rows.csv"
    assert run.folders.model == Path("/trainyard/store/sample")
    assert run.folders.checkpoints.name == "checkpoints"


@pytest.mark.parametrize("fit", [{"loss": "quantile"}, {"quantile": 0.9}, {"loss": "huber", "quantile": 0.9}], ids=str)
def test_the_loss_quantile_and_which_one_it_is_go_together(fit: dict[str, Any], table: Path, tmp_path: Path) -> None:
    path = a_spec(table, task="regression").with_fit(**fit).write(tmp_path)

    with pytest.raises(BadInput, match=r"loss quantile and the field quantile go together"):
        read_run(str(path), {})


def test_a_laptop_needs_nothing_but_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    run = read_run(str(SPEC.write(tmp_path)), {})

    assert run.folders.model == tmp_path / "trainyard-out" / "sample"
    assert run.folders.checkpoints == tmp_path / "trainyard-out/sample/.training/uid-of-sample/checkpoints"
    assert run.port is None


def test_another_run_has_folders_of_its_own(tmp_path: Path) -> None:
    run = read_run(str(SPEC.write(tmp_path)), {names.RUN_ENV: "2"})

    assert (run.uid, run.number, run.training_id) == ("uid-of-sample", 2, "uid-of-sample-2")
    assert run.folders.checkpoints.parent.name == "uid-of-sample-2"


def test_a_spec_without_a_uid_gets_the_same_one_each_time_and_another_when_it_changes(tmp_path: Path) -> None:
    def uid(spec: SpecBuilder) -> str:
        anonymous = SpecBuilder(spec.manifest | {"metadata": {"name": "sample"}})
        return read_run(str(anonymous.write(tmp_path)), {}).uid

    assert uid(SPEC) == uid(SPEC)
    assert uid(SPEC) != uid(SPEC.with_fit(epochs=4))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(SPEC, True, id="the same"),
        pytest.param(SPEC.with_fit(seed=42), True, id="a default written out"),
        pytest.param(SPEC.with_output(reuse=True), True, id="output"),
        pytest.param(SPEC.with_checkpoint(keep=9), True, id="checkpoints"),
        pytest.param(SpecBuilder(SPEC.manifest | {"metadata": {"name": "sample", "uid": "new"}}), True, id="the uid"),
        pytest.param(SPEC.named("other"), False, id="the name"),
        pytest.param(
            SpecBuilder(SPEC.manifest | {"metadata": {"name": "sample", "namespace": "b"}}), False, id="the namespace"
        ),
        pytest.param(
            SpecBuilder(SPEC.manifest | {"spec": SPEC.manifest["spec"] | {"modelName": "m"}}), False, id="modelName"
        ),
        pytest.param(SPEC.with_fit(epochs=4), False, id="fit"),
        pytest.param(SPEC.with_keras(hidden=[9]), False, id="program"),
        pytest.param(SPEC.with_data(label="y"), False, id="data"),
        pytest.param(
            SPEC.with_tuning(parameters=[{"name": "fit.epochs", "minValue": 1, "maxValue": 9}]), False, id="tuning"
        ),
        pytest.param(SPEC.with_privacy(targetEpsilon=3, delta=0.00001), False, id="privacy"),
    ],
)
def test_the_fingerprint_is_that_of_who_trains_what(other: SpecBuilder, same: bool) -> None:
    one, another = (fingerprint(parse_job(spec.manifest, rules=False)) for spec in (SPEC, other))

    assert (one == another) is same


def changed(path: str, value: Any) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(json.dumps(SPEC.manifest))
    *parents, last = path.split(".")
    place = manifest
    for parent in parents:
        place = place[parent]
    place[last] = value
    return manifest


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (changed("spec.fit.epoch", 3), "unknown field spec.fit.epoch; did you mean 'epochs'?"),
        (changed("spec.fit.batchsize", 3), "unknown field spec.fit.batchsize; did you mean 'batchSize'?"),
        (changed("spec.zebra", 3), "unknown field spec.zebra"),
        (changed("spec.program.keras.hiden", [3]), "unknown field spec.program.keras.hiden; did you mean 'hidden'?"),
        (changed("spec.program.keras.activation", "rellu"), "spec.program.keras.activation: Input should be"),
        (changed("spec.fit.epochs", 0), "spec.fit.epochs: Input should be greater than or equal to 1, got 0"),
        (changed("spec.data", {"source": {"uri": "x"}}), "spec.data.label: label is missing: name the column"),
        (changed("metadata", {}), "metadata.name is missing"),
        (changed("kind", "ModelService"), "kind: Input should be 'TrainingJob'"),
    ],
)
def test_a_wrong_field_is_named_with_what_to_write_instead(manifest: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as raised:
        parse_job(manifest)

    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_what_the_api_server_adds_is_not_an_unknown_field() -> None:
    metadata = SPEC.manifest["metadata"] | {"managedFields": [{}], "resourceVersion": "3"}

    assert parse_job(SPEC.manifest | {"metadata": metadata, "status": {"phase": "Running"}}).model_name == "sample"


@pytest.mark.parametrize(
    ("spec", "env", "message"),
    [
        (in_volume(SPEC), {}, "set $TRAINYARD_DATA_DIR to the file or folder to read"),
        (SPEC.with_data(source={}), {}, "set exactly one of uri, configMap and persistentVolumeClaim"),
        (SPEC, {names.PORT_ENV: "eighty"}, "expected a number from 0 to 65535 in $TRAINYARD_PORT, got 'eighty'"),
        (
            SPEC._with("program", {"container": {"image": "me"}}),
            {},
            "spec.program.container brings a program of its own",
        ),
    ],
)
def test_what_cannot_be_resolved_is_refused(
    spec: SpecBuilder, env: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput) as raised:
        read_run(str(spec.write(tmp_path)), env)

    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "expected a TrainingJob in"), ('{"kind": "Pod"}', "expected one object of kind")]
)
def test_a_file_that_holds_no_training_job_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text(text)

    with pytest.raises(BadInput, match=message):
        read_run(str(path), {})


def test_no_spec_at_all_is_refused() -> None:
    with pytest.raises(BadInput, match="expected the path of a TrainingJob"):
        read_run(None, {})


def test_yaml_keys_that_are_no_texts_are_read_as_a_cluster_gets_them(tmp_path: Path) -> None:
    spec = json.dumps(SPEC.manifest)[:-1]
    fit = "fit: {classWeights: {weights: {yes: 3, no: 1}}}"
    (tmp_path / "spec.yaml").write_text(spec.replace('"fit": {', fit[:-1].replace("fit:", '"fit":') + ", ") + "}")

    run = read_run(str(tmp_path / "spec.yaml"), {})

    assert run.job.spec.fit.class_weights
    assert run.job.spec.fit.class_weights.weights == {"true": 3, "false": 1}


@pytest.mark.parametrize(("value", "advice"), [(True, '"yes"'), (2019, '"2019"')])
def test_a_text_that_yaml_takes_for_something_else_wants_quotes(value: Any, advice: str) -> None:
    with pytest.raises(BadInput, match=rf"needs quotes, such as {advice}"):
        parse_job(changed("spec.data.label", value))
