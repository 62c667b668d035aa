"""Manifests are held to the models before anything is sent."""

import copy
from typing import Any

import pytest

from trainyard.errors import Usage
from trainyard.fields import checked, slug
from trainyard.settings import with_fields, with_settings


def a_manifest(name: str = "churn", **spec: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "program": {"keras": {"task": "regression"}},
        "data": {"source": {"uri": "s3://lake/churn/"}, "label": "y"},
        "output": {"store": {"persistentVolumeClaim": {"claimName": "models"}}},
    }
    return {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": name},
        "spec": fields | spec,
    }


def a_service(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "trainyard.dev/v1alpha1", "kind": "ModelService", "metadata": {"name": "churn"}, "spec": spec}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        pytest.param(
            {"fit": {"epoch": 2}}, "spec.fit.epoch: unknown field 'epoch'; did you mean 'epochs'?", id="a typing error"
        ),
        pytest.param(
            {"label": "y"}, "spec.label: unknown field 'label'; it belongs at spec.data.label", id="one level too high"
        ),
        pytest.param(
            {"roles": {"worker": {"env": []}}},
            "spec.roles.worker.env: unknown field 'env'; it belongs at spec.roles.worker.template.env",
            id="one level too low",
        ),
        pytest.param(
            {"fit": {"optimizer": "adam"}},
            'expected the fields name, learningRate, momentum, weightDecay, schedule below it, got "adam"',
            id="a text for fields",
        ),
        pytest.param(
            {"roles": {"worker": {"resources": {"requests": {"memory": "16GB"}}}}},
            'expected a quantity such as 500m, 2 or 16Gi, got "16GB"',
            id="a quantity",
        ),
        pytest.param(
            {"fit": {"stopWhen": {"timeLimit": "30 minutes"}}},
            'expected a duration longer than 0s, such as 90s, 30m or 1h30m, got "30 minutes"',
            id="a duration in words",
        ),
        pytest.param(
            {"fit": {"stopWhen": {"timeLimit": 3600}}},
            "expected a duration longer than 0s, such as",
            id="a duration as a number",
        ),
        pytest.param({"fit": {"batchSize": "auto"}}, 'expected a number of rows, or Auto, got "auto"', id="a union"),
        pytest.param({"fit": {"optimizer": {"name": "Adam"}}}, "did you mean 'adam'?", id="a choice in another case"),
        pytest.param({"fit": {"loss": "mse"}}, "did you mean 'mean_squared_error'?", id="a choice by its initials"),
        pytest.param({"fit": {"metrics": ["accuracy"]}}, "accuracy is reported always: remove it", id="a usual metric"),
        pytest.param({"fit": {"epochs": 0}}, "expected a value greater than or equal to 1, got 0", id="a bound"),
        pytest.param(
            {"data": {"source": {"uri": "x"}, "label": 2007}},
            "expected a text: put it in quotes, got 2007",
            id="a year",
        ),
        pytest.param({"program": {}, "output": {}}, "spec.output.store is missing", id="a missing field"),
    ],
)
def test_a_wrong_field_is_refused_with_what_to_change(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(Usage) as refused:
        checked(a_manifest(**spec))

    assert said in str(refused.value)
    assert "pattern" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_each_wrong_field_is_named_once_and_five_at_most() -> None:
    with pytest.raises(Usage) as refused:
        checked(a_manifest(a=1, b=2, c=3, d=4, e=5, f=6, g=7))

    assert str(refused.value).count("unknown field") == 5
    assert str(refused.value).endswith("(and 2 more)")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("My_Penguins", "write 'my-penguins'", id="capitals and underscores"),
        pytest.param("2024-sales", "write 'sales'", id="a number in front"),
        pytest.param("", "got ''", id="none"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_one_that_can(name: str, said: str) -> None:
    with pytest.raises(Usage, match=said):
        checked(a_manifest(name))


def test_a_model_uri_without_its_version_says_how_one_ends() -> None:
    with pytest.raises(Usage, match=r"ends with its number, such as pvc://models/penguins/1 or"):
        checked(a_service(model={"uri": "pvc://models/penguins"}))


def test_another_kind_is_refused() -> None:
    with pytest.raises(Usage, match="expected apiVersion trainyard"):
        checked({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}})


def test_python_names_are_sent_as_the_api_server_knows_them_and_defaults_are_left_to_it() -> None:
    sent = checked(a_manifest(fit={"batch_size": 4}, run_policy={"max_restarts": 0}))

    assert sent["spec"]["fit"] == {"batchSize": 4}
    assert sent["spec"]["runPolicy"] == {"maxRestarts": 0}
    assert "checkpoint" not in sent["spec"]
    assert "status" not in sent


@pytest.mark.parametrize(
    ("settings", "fit"),
    [
        pytest.param(["fit.epochs=50"], {"epochs": 50, "seed": 1}, id="a number"),
        pytest.param(["spec.fit.epochs=50"], {"epochs": 50, "seed": 1}, id="with spec in front"),
        pytest.param(["fit.batch_size=4"], {"seed": 1, "batchSize": 4}, id="a Python name"),
        pytest.param(
            ["fit.optimizer={name: sgd}", "fit.optimizer.learningRate=0.1"],
            {"seed": 1, "optimizer": {"name": "sgd", "learningRate": 0.1}},
            id="a mapping and a field of it",
        ),
        pytest.param(["fit.metrics=[recall]"], {"seed": 1, "metrics": ["recall"]}, id="a list"),
    ],
)
def test_settings_change_single_fields(settings: list[str], fit: dict[str, Any]) -> None:
    before = {"spec": {"fit": {"seed": 1}}}
    untouched = copy.deepcopy(before)

    assert with_settings(before, settings) == {"spec": {"fit": fit}}
    assert before == untouched


@pytest.mark.parametrize(
    "setting",
    [
        pytest.param("fit.epochs", id="no value"),
        pytest.param("=3", id="no path"),
        pytest.param("fit.seed.x=1", id="through"),
    ],
)
def test_a_setting_of_another_form_is_refused(setting: str) -> None:
    with pytest.raises(Usage, match="--set"):
        with_settings({"spec": {"fit": {"seed": 1}}}, [setting])


def test_fields_of_python_are_merged_into_the_spec() -> None:
    before = {"spec": {"fit": {"epochs": 10, "seed": 1}}}

    assert with_fields(before, {"fit": {"epochs": 50}, "run_policy": {"suspend": True}}) == {
        "spec": {"fit": {"epochs": 50, "seed": 1}, "runPolicy": {"suspend": True}}
    }


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("Sales 2024 (final)", "sales-2024-final", id="a file's name"),
        pytest.param("42", "", id="nothing that a name can have"),
    ],
)
def test_a_name_is_made_of_a_text(text: str, name: str) -> None:
    assert slug(text) == name
