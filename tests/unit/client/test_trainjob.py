"""TrainJobs of Kubeflow Trainer as TrainingJobs."""

from typing import Any

import pytest

from support.custom_resources import refusals
from trainyard.errors import Usage
from trainyard.trainjob import convert


def a_trainjob(trainer: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    container = {"image": "me/mnist:1", "command": ["python", "/train.py"]}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "mnist", "namespace": "team"},
        "spec": {"runtimeRef": {"name": "plain"}, "trainer": container | (trainer or {})} | spec,
    }


def test_what_has_an_equivalent_is_taken_over() -> None:
    trainer = {
        "numNodes": 2,
        "env": [{"name": "A", "value": "b"}],
        "resourcesPerNode": {"limits": {"nvidia.com/gpu": "1", "memory": "8Gi"}},
    }
    given = a_trainjob(
        trainer,
        suspend=True,
        activeDeadlineSeconds=3600,
        labels={"cost-center": "7"},
        initializer={"dataset": {"storageUri": "s3://lake/mnist"}},
    )

    found = convert(given, store="models").manifest

    spec = found["spec"]
    assert found["metadata"] == {"name": "mnist", "namespace": "team"}
    assert spec["program"]["container"] == {"image": "me/mnist:1", "command": ["python", "/train.py"]}
    assert spec["roles"]["worker"] == {
        "replicas": 2,
        "gpus": 1,
        "resources": {"limits": {"memory": "8Gi"}},
        "template": {"env": [{"name": "A", "value": "b"}]},
    }
    assert spec["runPolicy"] == {"suspend": True, "activeDeadline": "3600s"}
    assert spec["metadata"] == {"labels": {"cost-center": "7"}}
    assert spec["data"]["source"] == {"uri": "s3://lake/mnist"}
    assert refusals(found) == []


@pytest.mark.parametrize(
    ("given", "note"),
    [
        pytest.param(a_trainjob(), "runtimeRef 'plain': what its pods have", id="the runtime"),
        pytest.param(a_trainjob(managedBy="x"), "managedBy: no equivalent", id="a manager"),
        pytest.param(a_trainjob({"numProcPerNode": 2}), "trainer.numProcPerNode: no equivalent", id="processes"),
        pytest.param(a_trainjob(initializer={"model": {}}), "spec.data.source: a TrainJob", id="no data"),
        pytest.param(
            a_trainjob(initializer={"model": {"storageUri": "hf://m"}}), "initializer.model: no", id="a model"
        ),
        pytest.param(a_trainjob(podTemplateOverrides=[{}]), "podTemplateOverrides: no equivalent", id="overrides"),
    ],
)
def test_what_has_no_equivalent_is_named(given: dict[str, Any], note: str) -> None:
    assert any(each.startswith(note) for each in convert(given, store="models").notes)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"apiVersion": "v1", "kind": "Pod"}, "expected a TrainJob of trainer.kubeflow.org", id="a pod"),
        pytest.param(a_trainjob({"image": ""}), "it is that of its runtime 'plain'", id="the image of a runtime"),
    ],
)
def test_what_cannot_be_converted_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(Usage, match=said):
        convert(given, store="models")
