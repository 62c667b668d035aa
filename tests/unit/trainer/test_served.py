"""Every family and every task: trained by the whole trainer to a quality, and served with the same numbers."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from support import lessons
from support.learners import Learner, a_cnn, a_text_classifier, an_audio_classifier, learning_quickly
from support.lessons import Lesson
from support.trained import Quality, accuracy, served_as_trained
from support.trainer_runs import SpecBuilder, a_spec, a_tree_spec
from trainyard_api import names
from trainyard_api.program import TREE_FAMILIES, Family, Task

LINES = """
import keras

def build(data, *, units):
    inputs = data.keras_inputs()
    shape = keras.layers.Flatten()(keras.layers.Embedding(data.inputs["slots"].slots, 4)(inputs["slots"]))
    x = keras.layers.Concatenate()([inputs["dense_features"], shape])
    return keras.Model(inputs, keras.layers.Dense(data.outputs)(keras.layers.Dense(units, activation="tanh")(x)))
"""


@dataclass(frozen=True)
class Case:
    """A program, what it learns, how well, and from how many rows."""

    family: str
    task: str
    lesson: Lesson
    quality: Quality
    learn: Learner = learning_quickly
    rows: int = 240
    knobs: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.family, *([self.knobs["kernel"]] if "kernel" in self.knobs else []), self.task])


def of_shapes(family: str, task: str, quality: Quality, **knobs: Any) -> Case:
    return Case(family, task, lessons.shapes(task), quality, knobs=knobs)


BINARY, MULTICLASS, MULTILABEL, REGRESSION = get_args(Task)
ERROR = Quality("val_mae", at_most=0.5)  # the numbers deviate by 6.6
CASES = [
    of_shapes("linear", REGRESSION, ERROR, l2=0.0001),
    of_shapes("linear", MULTICLASS, accuracy(0.95)),
    of_shapes("auto", MULTICLASS, accuracy(0.95)),
    of_shapes("mlp", MULTILABEL, Quality("val_f1_score", at_least=0.95)),
    of_shapes("svm", MULTICLASS, accuracy(0.93)),
    of_shapes("svm", BINARY, accuracy(0.95), kernel="rbf", randomFeatures=64),
    of_shapes("gradientBoostedTrees", MULTICLASS, accuracy(0.95)),
    of_shapes("gradientBoostedTrees", REGRESSION, ERROR),
    of_shapes("randomForest", MULTICLASS, accuracy(0.95)),
    of_shapes("randomForest", REGRESSION, ERROR),
    Case("cnn", BINARY, lessons.images, accuracy(0.95), a_cnn, rows=160),
    Case("textClassifier", BINARY, lessons.texts, accuracy(0.95), a_text_classifier, rows=600),
    Case("audioClassifier", MULTICLASS, lessons.clips, accuracy(0.95), an_audio_classifier),
    of_shapes("python", REGRESSION, ERROR),
]


def test_no_family_and_no_task_is_left_out() -> None:
    assert {each.family for each in CASES} == {*get_args(Family), "python"}
    assert {each.task for each in CASES} == set(get_args(Task))


def spec_of(case: Case, data: Path) -> SpecBuilder:
    if case.family in TREE_FAMILIES:
        return a_tree_spec(data, case.family, task=case.task, **case.knobs)
    spec = a_spec(data, task=case.task)
    if data.is_dir():
        return case.learn(spec).with_data(format="directory")
    if case.family == "python":
        program = {"entryPoint": "lines_model:build", "task": case.task, "source": {"configMap": {"name": "code"}}}
        return case.learn(spec).with_program(python=program | {"hyperparameters": {"units": 8}})
    return case.learn(spec.with_keras(family=case.family, **case.knobs))


@pytest.mark.thorough
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_model_is_as_good_as_stated_and_answers_over_both_protocols_as_it_answered_its_trainer(
    case: Case, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "lines_model.py").write_text(LINES)
    write = lessons.as_csv if case.learn is learning_quickly else lessons.as_directory
    data = write(tmp_path / "data", case.lesson(case.rows, 1))

    done = served_as_trained(
        spec_of(case, data),
        tmp_path,
        quality=case.quality,
        new=case.lesson(100, 9),
        extra={names.CODE_DIR_ENV: str(tmp_path / "code")},
    )

    assert sorted(done.answers) == outputs(case)
    if case.task == MULTICLASS and case.family != "svm":
        np.testing.assert_allclose(np.sum(done.answers["probabilities"], axis=1), 1, atol=1e-5)


def outputs(case: Case) -> list[str]:
    if case.family == "svm":
        return ["label", "score" if case.task == BINARY else "scores"]
    return {
        BINARY: ["label", "probability"],
        MULTICLASS: ["label", "probabilities"],
        MULTILABEL: ["labels", "probabilities"],
        REGRESSION: ["value"],
    }[case.task]
