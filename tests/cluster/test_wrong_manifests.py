"""Wrong manifests as people write them: what the API server answers says what to change."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from support import kubectl as program
from support.right_manifests import RIGHT, SERVED

Kubectl = Callable[[str], str]


def job(before: str, after: str) -> str:
    """The right manifest with one thing in it changed."""
    assert before in RIGHT
    return RIGHT.replace(before, after)


def served(before: str, after: str) -> str:
    assert before in SERVED
    return SERVED.replace(before, after)


def worker(fields: str) -> str:
    return job("replicas: 1", fields)


def fit(fields: str) -> str:
    return job("epochs: 2", fields)


@pytest.fixture
def answer(kubeconfig: Path, namespace: str, tmp_path: Path, cluster_crds: None) -> Kubectl:
    """What kubectl says to a manifest that it cannot apply."""
    environment = program.environment(kubeconfig, tmp_path)

    def apply(manifest: str) -> str:
        arguments = ("--namespace", namespace, "apply", "--dry-run=server", "-f", "-")
        return program.kubectl(*arguments, env=environment, stdin=manifest, fails=True)

    return apply


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        pytest.param(worker("resources: {requests: {memory: 16GB}}"), "such as 500m, 2, 16G or 16Gi", id="16GB"),
        pytest.param(worker("resources: {requests: {memory: 4gb}}"), "such as 500m, 2, 16G or 16Gi", id="4gb"),
        pytest.param(worker("resources: {limits: {cpu: 2 cores}}"), "such as 500m, 2, 16G or 16Gi", id="2 cores"),
        pytest.param(worker("resources: {limits: {nvidia.com/gpu: 1}}"), "set gpus instead", id="GPU in limits"),
        pytest.param(worker("gpuResource: tpu"), "domain/name, such as nvidia.com/gpu", id="tpu"),
        pytest.param(worker('gpus: "1"'), "must be of type integer", id="a number as text"),
        pytest.param(worker("replicas: -1"), "greater than or equal to 1", id="negative replicas"),
        pytest.param(fit("stopWhen: {timeLimit: 30 minutes}"), "such as 90s, 30m or 1h30m", id="30 minutes"),
        pytest.param(fit('stopWhen: {timeLimit: ""}'), "such as 90s, 30m or 1h30m", id="an empty duration"),
        pytest.param(fit("batchSize: auto"), "a number of rows, or Auto", id="auto"),
        pytest.param(fit("optimizer: {name: Adam}"), '"adam"', id="Adam"),
        pytest.param(fit("optimizer: {learningRate: 0}"), "should be greater than 0", id="no learning rate"),
        pytest.param(fit("loss: mse"), "mean_squared_error or mean_absolute_error", id="mse"),
        pytest.param(fit("metrics: [accuracy]"), "always reported", id="accuracy"),
        pytest.param(fit("metrics: [auc_roc]"), "a metric has to fit the task: precision or recall", id="auc_roc"),
        pytest.param(fit("epoch: 2"), 'unknown field "spec.fit.epoch"', id="a typing error"),
        pytest.param(job("family: mlp", "family: mlp, activation: ReLU"), '"relu"', id="ReLU"),
        pytest.param(job("family: mlp", "family: mlp, dropout: 50"), "write 20 % as 0.2", id="dropout 50"),
        pytest.param(job("family: mlp", "family: xgboost"), '"gradientBoostedTrees"', id="xgboost"),
        pytest.param(
            job("label: species", "label: species\n    validation: {fraction: 20}"), "write 20 % as 0.2", id="20 %"
        ),
        pytest.param(job("label: species", "label: 2007"), "must be of type string", id="a year as label"),
        pytest.param(
            job("key: penguins.csv", "key: data/penguins.csv"), "keys have no folders", id="a key with folders"
        ),
        pytest.param(job("    label: species\n", ""), "label is missing: name the column to predict", id="no label"),
        pytest.param(
            job("{configMap: {name: penguins, key: penguins.csv}}", "{uri: 'https://x.example/a.csv?sig=abc'}"),
            "put them into a Secret and name it in secretRef",
            id="a key in the address",
        ),
        pytest.param(
            job("persistentVolumeClaim: {claimName: models}", "uri: pvc://models"),
            "set persistentVolumeClaim",
            id="pvc://",
        ),
        pytest.param(
            job("name: penguins}\nspec", "name: penguins-of-the-whole-antarctic-and-of-all-its-islands}\nspec"),
            "is invalid: metadata.name: Invalid value: ",
            id="a long name",
        ),
        pytest.param(
            served("pvc://models/penguins/1", "pvc://models/penguins"), "pvc://models/penguins/1", id="no version"
        ),
        pytest.param(
            served("uri: pvc://models/penguins/1", "fromTraining: {selector: {matchLabels: {model: 'a b'}}}"),
            "without spaces",
            id="a label with a space",
        ),
        pytest.param(
            served("1}", "1, fromTraining: {selector: {matchLabels: {a: b}}}}"), "exactly one of", id="two models"
        ),
    ],
)
def test_a_wrong_manifest_is_answered_with_what_to_change(answer: Kubectl, manifest: str, words: str) -> None:
    said = answer(manifest)

    assert words in said
    # Neither a regular expression nor the inside of a parser; <nil> is Kubernetes' own word behind a wrong type.
    assert not re.search(r"should match|Parsing|evaluating rule", said)
    assert not re.search(r"is invalid: *\n?\*? *<nil>", said)


def test_the_right_manifests_are_taken(kubeconfig: Path, namespace: str, tmp_path: Path, cluster_crds: None) -> None:
    environment = program.environment(kubeconfig, tmp_path)
    arguments = ("--namespace", namespace, "apply", "--dry-run=server", "-f", "-")
    taken = program.kubectl(*arguments, env=environment, stdin=f"{RIGHT}---\n{SERVED}")
    assert taken.count("created (server dry run)") == 2
