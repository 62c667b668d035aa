"""The messages on the page of messages come out of the trainer word for word; every reason has its line there."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import trainyard_trainer
from support.documentation import DOCS
from support.lessons import Rows, as_csv, as_directory, as_records
from support.pages import blocks
from support.pictures import encoded, pictures
from support.sounds import tone, wav
from support.trainer_runs import SpecBuilder, a_spec, a_tree_spec, run
from trainyard_trainer.errors import TrainerError
from trainyard_trainer.fitting.stopping import Reason

PAGE = DOCS / "reference/messages.md"
(SHOWN,) = blocks(PAGE, "text")
AGES, PLANS = list(range(20, 60)), ["free", "paid"] * 20


def churn(folder: Path, churned: list[Any], age: list[Any] | None = None) -> Path:
    (path := folder / "churn.csv").write_text(
        as_csv(folder, Rows({"age": age or AGES, "plan": PLANS}, churned)).read_text().replace("label", "churned", 1)
    )
    return path


YES_NO = ["yes", "no"] * 20


def a_typo(folder: Path) -> SpecBuilder:
    return a_spec(churn(folder, YES_NO), label="chrned")


def another_typo(folder: Path) -> SpecBuilder:
    return a_spec(churn(folder, YES_NO), label="churned").with_fit(epoch=3)


def three_classes(folder: Path) -> SpecBuilder:
    return a_spec(churn(folder, ["yes", "no", "soon", "no"] * 10), label="churned")


def one_class(folder: Path) -> SpecBuilder:
    return a_spec(churn(folder, ["yes"] * 40), label="churned")


def texts_to_predict(folder: Path) -> SpecBuilder:
    return a_spec(churn(folder, YES_NO), label="churned", task="regression")


def mixed(folder: Path) -> SpecBuilder:
    return a_spec(churn(folder, YES_NO, ["unknown", *map(str, AGES[1:])]), label="churned")


def nothing_there(folder: Path) -> SpecBuilder:
    return a_spec(churn(folder, YES_NO).with_name("chrun.csv"), label="churned")


def a_short_row(folder: Path) -> SpecBuilder:
    path = churn(folder, YES_NO)
    path.write_text(path.read_text() + "41,free\n")
    return a_spec(path, label="churned")


def dates(folder: Path) -> SpecBuilder:
    days = [date(2026, 1, 1 + i % 28) for i in range(40)]
    pq.write_table(pa.table({"since": days, "age": AGES, "churned": YES_NO}), folder / "churn.parquet")
    return a_spec(folder / "churn.parquet", label="churned").with_data(features=["since", "age"])


def cut_records(folder: Path) -> SpecBuilder:
    path = as_records(folder, Rows({"age": AGES}, YES_NO))
    path.write_bytes(path.read_bytes()[:-5])
    return a_spec(path)


def arrays_of_two_lengths(folder: Path) -> SpecBuilder:
    np.savez(folder / "rows.npz", age=np.array(AGES[:-1]), label=np.array(YES_NO))
    return a_spec(folder / "rows.npz")


def images(folder: Path) -> Path:
    (folder / "leaves").mkdir()
    pixels, kinds = pictures(20)
    return as_directory(folder / "leaves", Rows({"image_bytes": encoded(pixels)}, kinds))


def a_table_from_images(folder: Path) -> SpecBuilder:
    return a_spec(images(folder)).with_data(format="directory")


def a_broken_image(folder: Path) -> SpecBuilder:
    data = images(folder)
    (data / "disc" / "broken.png").write_bytes(b"\x89PNG")
    return a_spec(data).with_data(format="directory").with_keras(family="cnn")


def a_file_of_no_class(folder: Path) -> SpecBuilder:
    data = images(folder)
    (data / "readme.png").write_bytes(b"")
    return a_spec(data).with_data(format="directory").with_keras(family="cnn")


def a_cnn_for_a_table(folder: Path) -> SpecBuilder:
    return a_spec(churn(folder, YES_NO), label="churned").with_data(features=["age"]).with_keras(family="cnn")


def two_columns_of_texts(folder: Path) -> SpecBuilder:
    return a_spec(churn(folder, YES_NO), label="churned").with_keras(family="textClassifier")


def a_flac_file(folder: Path) -> SpecBuilder:
    (folder / "birds").mkdir()
    data = as_directory(folder / "birds", Rows({"audio_bytes": [wav(tone(440))] * 40}, YES_NO))
    (data / "no" / "song.wav").write_bytes(b"fLaC")
    return a_spec(data).with_data(format="directory").with_keras(family="audioClassifier")


def an_svm_for_numbers(folder: Path) -> SpecBuilder:
    return a_spec(churn(folder, YES_NO), label="churned", task="regression").with_keras(family="svm")


def an_optimizer_for_trees(folder: Path) -> SpecBuilder:
    spec = a_tree_spec(churn(folder, YES_NO), "randomForest")
    return spec.with_fit(optimizer={"name": "sgd"})


def a_huge_learning_rate(folder: Path) -> SpecBuilder:
    spec = a_spec(churn(folder, [float(each) ** 2 for each in AGES]), label="churned", task="regression")
    return spec.with_fit(epochs=50, optimizer={"name": "sgd", "learningRate": 100})


EXAMPLES: list[Callable[[Path], SpecBuilder]] = [
    a_typo,
    another_typo,
    nothing_there,
    three_classes,
    one_class,
    texts_to_predict,
    mixed,
    dates,
    a_short_row,
    cut_records,
    arrays_of_two_lengths,
    a_file_of_no_class,
    a_broken_image,
    a_flac_file,
    a_table_from_images,
    a_cnn_for_a_table,
    two_columns_of_texts,
    an_svm_for_numbers,
    an_optimizer_for_trees,
    a_huge_learning_rate,
]


@pytest.mark.parametrize(
    ("example", "shown"),
    list(zip(EXAMPLES, SHOWN.splitlines(), strict=True)),
    ids=[each.__name__ for each in EXAMPLES],
)
def test_a_message_is_word_for_word_what_the_page_shows(
    example: Callable[[Path], SpecBuilder], shown: str, tmp_path: Path
) -> None:
    result = run(example(tmp_path), tmp_path)

    message = result.report["message"].replace(str(tmp_path), "/data")
    assert f"{result.report['reason']}: {message}" == shown
    assert result.stderr.replace(str(tmp_path), "/data").splitlines()[-1] == shown


def reasons() -> Iterator[str]:
    """Yield every reason that the trainer's result can have."""
    package = trainyard_trainer
    for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not each.name.endswith("__main__"):
            importlib.import_module(each.name)
    unseen: list[type[TrainerError]] = [TrainerError]
    while unseen:
        kind = unseen.pop()
        unseen += kind.__subclasses__()
        yield kind.reason
    yield from get_args(Reason)
    for path in Path(package.__path__[0]).rglob("*.py"):
        yield from re.findall(r'\b(?:Outcome|_end)\(\s*"(\w+)"', path.read_text(encoding="utf-8"))


def test_every_reason_has_its_line() -> None:
    rows = [line.split("|")[2] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    explained = {reason for row in rows for reason in re.findall(r"`(\w+)`", row)}

    assert set(reasons()) == explained
