"""Classifiers of texts: what they learn, and that they are served as they were trained."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from support.documentation import spec_in
from support.reviews import reviews, write_reviews
from support.tables import write_records
from support.trained import ends_alike_when_stopped, served_accuracy, trained_well
from support.trainer_models import TWO
from support.trainer_runs import SpecBuilder, run
from trainyard_api import names
from trainyard_api.fit import Optimizer
from trainyard_api.program import KerasProgram
from trainyard_api.text import Text, TextReading
from trainyard_trainer.data.dataset import open_data_set
from trainyard_trainer.data.source import find
from trainyard_trainer.data.texts import TEXTS, TextAnalyzer
from trainyard_trainer.encoding.texts import TOKENS, TextEncoder, TextInputs, Vectorizer
from trainyard_trainer.fitting.optimizers import make_optimizer
from trainyard_trainer.fitting.steps import LABELS, StepRunner
from trainyard_trainer.models import FAMILIES
from trainyard_trainer.tasks.task import task_for

LAYERS = ["globalAveragePooling1D", "conv1D", "multiHeadAttention"]


def accuracy_on_reviews(layer: str, *, epochs: int, learning_rate: float) -> float:
    """Train on some reviews, without files; returns the accuracy on others."""
    keras.utils.set_random_seed(1)
    text = Text(layer=layer, embedding_dim=32, filters=32)  # type: ignore[arg-type]
    program = KerasProgram(family="textClassifier", task="binaryClassification", text=text, hidden=[32])
    words = ("not", "very", "good", "bad", *(f"word{i}" for i in range(100)))
    vectorizer = Vectorizer(text, words, 14)
    model = FAMILIES["textClassifier"](program, TextInputs(14, 2 + len(words)), 1)
    task = task_for(TWO, program)
    runner = StepRunner(model, make_optimizer(Optimizer(learning_rate=learning_rate), model), task, batch_size=32)

    def block(seed: int) -> dict[str, Any]:
        texts, classes = reviews(960, seed)
        labels = np.array([each == "praise" for each in classes], np.int32)
        return {TOKENS: vectorizer(tf.constant(texts)), LABELS: labels}

    training, order = block(1), np.random.default_rng(5)
    for _ in range(epochs):
        which = order.permutation(960).astype(np.int32)
        runner.train(training, which, first=0, steps=30, totals=runner.zero_totals())
    return task.metrics(runner.validate(block(2)))["accuracy"]


def test_an_average_of_words_cannot_tell_what_stands_together() -> None:
    assert accuracy_on_reviews("globalAveragePooling1D", epochs=8, learning_rate=0.01) < 0.8


@pytest.mark.thorough
def test_a_convolution_can_and_attention_too() -> None:
    assert accuracy_on_reviews("conv1D", epochs=3, learning_rate=0.01) > 0.97
    assert accuracy_on_reviews("multiHeadAttention", epochs=12, learning_rate=0.003) > 0.97


@pytest.mark.parametrize("layer", LAYERS)
def test_padding_never_changes_an_answer_and_an_empty_text_has_one(layer: str) -> None:
    program = KerasProgram(family="textClassifier", task="binaryClassification", text=Text(layer=layer, kernel_size=3))  # type: ignore[arg-type]
    model = FAMILIES["textClassifier"](program, TextInputs(6, 10), 2)
    ids = np.array([[3, 4, 5, 0, 0, 0], [3, 4, 5, 6, 7, 8], [0, 0, 0, 0, 0, 0]], np.int32)

    together, (alone,) = model({TOKENS: ids}).numpy(), model({TOKENS: ids[:1]}).numpy()
    table = next(each for each in model.weights if each.path.endswith("embeddings"))
    table.assign(np.concatenate([np.full((1, 64), 1e3), table.numpy()[1:]]))

    assert np.isfinite(together).all()
    np.testing.assert_allclose(together[0], alone, atol=1e-6)
    np.testing.assert_allclose(model({TOKENS: ids}).numpy(), together, atol=1e-5)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> SpecBuilder:
    """The example of the documentation."""
    path = write_reviews(tmp_path_factory.mktemp("data") / "reviews.csv", 900, id=range(900))
    return (
        spec_in("how-to/texts-and-sounds.md", "reviews")
        .with_data(source={"uri": str(path)})
        .with_checkpoint(everySteps=10)
    )


@pytest.fixture(scope="module")
def trained(spec: SpecBuilder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    trained_well(spec, folder, accuracy=0.97)
    return folder


def test_texts_are_served_as_they_were_trained_with_core_operations_only(trained: Path) -> None:
    texts, classes = reviews(200, seed=9)

    assert served_accuracy(trained, {"review": texts}, classes) > 0.97


def test_texts_in_tfrecord_files_train_as_well(spec: SpecBuilder, tmp_path: Path) -> None:
    rows = enumerate(zip(*reviews(900), strict=True))
    records = [{"id": number, "review": text, "label": label} for number, (text, label) in rows]
    write_records(tmp_path / "t.tfrecord", records)

    result = run(
        spec.with_data(source={"uri": str(tmp_path / "t.tfrecord")}, label="label", features=["review"]), tmp_path
    )

    assert result.code == 0, result.stderr
    assert result.report["metrics"]["val_accuracy"] > 0.97


@pytest.mark.thorough
def test_stopped_and_resumed_it_ends_with_the_same_weights(spec: SpecBuilder, trained: Path, tmp_path: Path) -> None:
    ends_alike_when_stopped(spec, trained, tmp_path)


@pytest.mark.thorough
def test_words_can_be_hashed_texts_streamed_and_numbers_predicted(spec: SpecBuilder, tmp_path: Path) -> None:
    ratings = [{"praise": 4.5, "complaint": 1.5}[each] for each in reviews(900)[1]]
    path = write_reviews(tmp_path / "reviews.csv", 900, rating=ratings)
    spec = spec.with_data(source={"uri": str(path)}, label="rating").with_keras(
        task="regression", dropout=0, text={"embeddingDim": 32, "filters": 32, "numBins": 2000}
    )

    result = run(spec, tmp_path, {"TRAINYARD_CACHE_BYTES": "1000"})

    assert result.code == 0, result.stderr
    assert "streamed" in result.the("data")["message"]
    assert result.report["metrics"]["val_mae"] < 0.5  # guessing their mean is wrong by 1.5


def test_texts_that_are_missing_or_empty_have_no_words(tmp_path: Path) -> None:
    texts = ["good café", None, "Größe good", "", "größe"]
    pq.write_table(pa.table({"review": texts, "label": ["a", "b", "a", "b", "a"]}), tmp_path / "t.parquet")
    table = open_data_set(find(str(tmp_path / "t.parquet"), "auto"), label="label", features=["review"])
    (raw,) = table.read(table.shards()[0])
    counter = TextAnalyzer(TextReading(), table.schema)

    read = counter.read(raw)
    counter.count(read, np.ones(len(texts), bool))
    kept = counter.settle(read)
    facts = counter.finish(len(texts))

    assert facts.vocabulary == ("good", "größe")
    assert kept[TEXTS].tolist() == facts.arrays(raw)[TEXTS].tolist()
    ids = TextEncoder(facts).encode(kept)[TOKENS]
    assert ids.numpy().tolist() == [[2, 1], [0, 0], [3, 2], [0, 0], [3, 0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": {"features": ["review", "id"]}}, "the features are review (text), id (number): name that column"),
        ({"data": {"features": ["id"]}}, "learns from one column of texts, but the features are id (number)"),
        ({"data": {"features": ["same"]}}, "column 'same' is the same in every row ('It is so')"),
        ({"data": {"features": ["key"]}}, "column 'key' has no word that occurs twice in the training rows"),
        ({"keras": {"text": {"maxTokens": 9, "numBins": 9}}}, "set maxTokens for a vocabulary or numBins for hashing"),
        ({"keras": {"family": "mlp"}}, "text is for family textClassifier only"),
    ],
)
def test_what_cannot_be_learnt_from_is_bad_input(
    change: dict[str, Any], message: str, spec: SpecBuilder, tmp_path: Path
) -> None:
    path = write_reviews(
        tmp_path / "t.csv", 60, id=range(60), same=["It is so"] * 60, key=[f"k-{i}" for i in range(60)]
    )
    spec = spec.with_data(source={"uri": str(path)}, **change.get("data", {})).with_keras(**change.get("keras", {}))

    result = run(spec, tmp_path)

    assert (result.code, result.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput")
    assert message in result.report["message"]
