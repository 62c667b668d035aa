"""`trainyard check`: each wrong field of a manifest, with what to change."""

from pathlib import Path

import pytest

from support.client_cluster import MemoryCluster
from support.right_manifests import RIGHT, SERVED
from unit.client.test_cli import Terminal


def ran(tmp_path: Path, text: str) -> tuple[int, str]:
    file = tmp_path / "manifest.yaml"
    file.write_text(text)
    done = Terminal(MemoryCluster()).run("check", str(file))
    return done.code, done.out + done.err


def test_what_is_right_is_ok_and_what_is_not_ours_is_let_be(tmp_path: Path) -> None:
    code, said = ran(tmp_path, f"{RIGHT}---\n{SERVED}---\n{{apiVersion: v1, kind: Secret, metadata: {{name: s3}}}}\n")

    assert code == 0
    assert said.splitlines() == [
        "TrainingJob penguins: fields ok",
        "ModelService penguins: fields ok",
        "Secret s3: not checked, for it is not of trainyard.dev",
    ]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("replicas: 1", 'gpus: "1"', 'spec.roles.worker.gpus: expected a whole number, got "1": remove the quotes'),
        ("epochs: 2", "epochs: 2.5", "spec.fit.epochs: expected a whole number, got 2.5"),
        ("epochs: 2", "epoch: 2", "unknown field 'epoch'; did you mean 'epochs'?"),
        ("epochs: 2", "optimizer: adam", "expected the fields name, learningRate"),
        ("epochs: 2", "optimizer: {learning_rate: 0.1}", "did you mean 'learningRate'?"),
        ("label: species", "label: 2007", "spec.data.label: expected a text: put it in quotes, got 2007"),
        ("family: mlp", "family: mlp, hidden: 64", "expected a list, such as [a, b], got 64"),
        ("  fit:", "  resources: {}\n  fit:", "it belongs at spec.roles.worker.resources"),
        ("{persistentVolumeClaim: {claimName: models}}", "pvc://models", "the fields persistentVolumeClaim, uri"),
        ("v1alpha1", "v1", "write apiVersion: trainyard.dev/v1alpha1"),
        ("TrainingJob", "TrainJob", "did you mean 'TrainingJob'?"),
        ("name: penguins}", "name: My_Penguins}", "write 'my-penguins'"),
        ("  fit:", "\tfit:", "line 10: a tab; indent YAML with spaces"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_change(tmp_path: Path, before: str, after: str, said: str) -> None:
    assert before in RIGHT
    code, told = ran(tmp_path, RIGHT.replace(before, after, 1))

    assert code == 2
    assert said in told
