"""Whole trainings on data as others leave them: what is learnt, what is served, and what is said about bad rows."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support import lessons
from support.documentation import spec_in
from support.learners import Learner, a_cnn, a_text_classifier, an_audio_classifier, learning_quickly
from support.lessons import Lesson, Rows
from support.places import Put, at_a_path, in_hdfs, in_s3, on_a_plain_web_server, on_a_web_server
from support.trained import accuracy, served_as_trained
from support.trainer_fits import fitted
from support.trainer_runs import SpecBuilder, a_spec, run
from trainyard_api import names

ROWS = 160
STREAMED = {"TRAINYARD_CACHE_BYTES": "1"}


def spec_for(data: Path) -> SpecBuilder:
    return learning_quickly(a_spec(data))


def manifest(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "store" / "sample" / "1" / names.MANIFEST_FILE).read_text()))


@dataclass(frozen=True)
class Kind:
    """What is written how and lies where, what learns from it, and what a client of the model sends."""

    name: str
    lesson: Lesson
    write: Callable[[Path, Rows], Path]
    put: Put
    inputs: dict[str, Any]
    learn: Learner = learning_quickly
    rows: int = 240
    env: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def tensor(dtype: str, *shape: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [None, *shape]}


SHAPES = {"shape": tensor("string"), "size": tensor("float32")}
VECTOR, NUMBERS = {"v": tensor("float32", 3)}, {f"v_{i}": tensor("float32") for i in range(3)}
IMAGE, TEXT, SOUND = ({name: tensor("string")} for name in ("image_bytes", "text", "audio_bytes"))
PIXELS = {"image": tensor("uint8", 24, 24, 3)}
shapes = lessons.shapes("binaryClassification")
KINDS = [
    Kind("csv over http", shapes, lessons.as_csv, on_a_web_server, SHAPES),
    Kind("parquet in s3", shapes, lessons.as_parquet, in_s3, SHAPES),
    Kind("vectors of spark", lessons.vectors, lessons.as_spark, at_a_path, VECTOR),
    Kind("zipped records, streamed", lessons.vectors, lessons.as_hadoop, at_a_path, VECTOR, env=STREAMED),
    Kind("records of images over http", lessons.images, lessons.as_records, on_a_web_server, IMAGE, a_cnn, 160),
    Kind("records of texts in s3", lessons.texts, lessons.as_records, in_s3, TEXT, a_text_classifier, 600),
    Kind("records of sounds in hdfs", lessons.clips, lessons.as_records, in_hdfs, SOUND, an_audio_classifier),
    Kind("npz from a plain web server", lessons.numbers, lessons.as_npz, on_a_plain_web_server, NUMBERS),
    Kind("npz of pixels in s3", lessons.pixels, lessons.as_npz, in_s3, PIXELS, a_cnn, 160),
    Kind("folders of images in s3", lessons.images, lessons.as_directory, in_s3, IMAGE, a_cnn, 160),
    Kind("folders of texts in hdfs", lessons.texts, lessons.as_directory, in_hdfs, TEXT, a_text_classifier, 600),
    Kind("folders of sounds in s3", lessons.clips, lessons.as_directory, in_s3, SOUND, an_audio_classifier),
]


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_data_set_of_each_kind_is_learnt_from_where_it_lies_and_served_as_it_was(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    data = kind.write(tmp_path / "data", kind.lesson(kind.rows, 1))
    format_ = {"format": "directory"} if kind.write is lessons.as_directory else {}
    spec = kind.learn(a_spec(data))

    with kind.put(data) as place:
        done = served_as_trained(
            spec.with_data(source={"uri": place.uri}, **format_),
            tmp_path,
            quality=accuracy(0.95),
            new=kind.lesson(100, 9),
            extra=kind.env | dict(place.env),
        )

    assert done.manifest["signatures"]["serving_default"]["inputs"] == kind.inputs
    assert done.manifest["data"]["rows"] == kind.rows


def test_the_fingerprint_of_the_data_follows_every_digit_and_not_the_place_or_the_seed(tmp_path: Path) -> None:
    rows = csv_rows()
    edited = [rows[1].replace("2", "3", 1), *rows[1:]]
    files = {
        "first": rows,
        "copy": rows,
        "edited": [rows[0], edited[0], *rows[2:]],
        "swapped": [rows[1], rows[0], *rows[2:]],
    }
    paths = {name: write_csv(tmp_path / name / "t.csv", each) for name, each in files.items()}
    assert len({path.stat().st_size for path in paths.values()}) == 1

    def fingerprint(name: str, **fit: Any) -> str:
        spec = a_spec(paths[name]).with_fit(epochs=1, **fit)
        return str(fitted(spec, tmp_path / f"{name}-out").the("data")["fingerprint"])

    first = fingerprint("first")
    assert first.startswith("sha256:")
    assert fingerprint("copy", seed=7) == first
    assert len({first, fingerprint("edited"), fingerprint("swapped")}) == 3


def write_csv(path: Path, rows: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["a,b,c,label", *rows]) + "\n")
    return path


def csv_rows(seed: int = 5) -> list[str]:
    made = lessons.numbers(ROWS, seed)
    rows = zip(*made.columns.values(), made.labels, strict=True)
    return [",".join([*(f"{each:.3f}" for each in row), label]) for *row, label in rows]


def test_bad_rows_up_to_the_limit_are_left_out_and_said(tmp_path: Path) -> None:
    rows = csv_rows()
    path = write_csv(tmp_path / "t.csv", ["lots,1,1,1", *rows[:50], "1,2", *rows[50:]])

    result = run(spec_for(path).with_data(maxBadRows=2), tmp_path)

    assert result.code == 0, result.stderr
    assert result.the("bad-rows")["count"] == 2
    assert (
        "row 1 of t.csv: column 'a': 'lots' is not a number; row 52 of t.csv: it has 2 fields"
        in (result.the("bad-rows")["message"])
    )
    assert "; 2 bad rows were left out; " in result.report["message"]
    assert {name: manifest(tmp_path)["data"][name] for name in ("rows", "badRows")} == {"rows": ROWS, "badRows": 2}


def test_one_bad_row_too_many_ends_with_the_first_few(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", ["1,2", *csv_rows(), "1,2,3,", "x,2,3,1"])

    result = run(spec_for(path).with_data(maxBadRows=2), tmp_path)

    assert (result.code, result.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput")
    assert result.report["message"].startswith(
        "more than 2 rows cannot be used, which is what data.maxBadRows allows: row"
    )


def test_files_of_their_own_are_what_the_model_is_judged_by(tmp_path: Path) -> None:
    write_csv(tmp_path / "train" / "t.csv", csv_rows())
    (tmp_path / "train" / "_SUCCESS").touch()
    write_csv(tmp_path / "held-back" / "v.csv", [f"{row[:-1]}{1 - int(row[-1])}" for row in csv_rows(seed=6)])

    spec = spec_in("reference/data.md", "loans").named("sample")
    result = run(
        spec.with_data(source={"uri": str(tmp_path / "train"), "requireSuccess": True}, label="label"), tmp_path
    )

    assert result.code == 0, result.stderr
    assert result.the("data")["trainingRows"] == result.the("data")["validationRows"] == ROWS
    assert result.report["metrics"]["accuracy"] > 0.9
    assert result.report["metrics"]["val_accuracy"] < 0.1  # their labels say the opposite
    assert manifest(tmp_path)["data"]["validation"]["location"] == f"{tmp_path}/held-back"


def test_a_column_chooses_the_rows_to_validate_with_and_another_is_hashed(tmp_path: Path) -> None:
    rows = [f"{'train' if i % 4 else 'Validation'},street {i},{row}" for i, row in enumerate(csv_rows())]
    (tmp_path / "t.csv").write_text("\n".join(["split,street,a,b,c,label", *rows]) + "\n")
    spec = spec_for(tmp_path / "t.csv").with_data(validation={"column": "split"}, hashing={"street": 10})

    result = run(spec, tmp_path)

    assert result.code == 0, result.stderr
    assert (result.the("data")["trainingRows"], result.the("data")["validationRows"]) == (ROWS * 3 // 4, ROWS // 4)
    assert sorted(manifest(tmp_path)["signatures"]["serving_default"]["inputs"]) == ["a", "b", "c", "street"]


def wrong(name: str, validation: dict[str, Any], files: dict[str, list[str]], message: str) -> Any:
    return pytest.param(validation, files, message, id=name)


@pytest.mark.parametrize(
    ("validation", "files", "message"),
    [
        wrong("no file", {"uri": "v.csv"}, {}, "v.csv does not exist"),
        wrong("the same file", {"uri": "t.csv"}, {}, "t.csv, which is trained on too: keep them in separate folders"),
        wrong(
            "other columns", {"uri": "v.csv"}, {"v.csv": ["x,label", "1,0"]}, "column 'a' is in t.csv but not in v.csv"
        ),
        wrong(
            "a new class", {"uri": "v.csv"}, {"v.csv": ["a,label", "1,7"]}, "the class '7' of the label 'label' is in"
        ),
        wrong(
            "no column", {"column": "split"}, {}, "data.validation.column is 'split', which is not a column of t.csv"
        ),
        wrong(
            "another word",
            {"column": "split"},
            {"t.csv": ["split,a,label", "train,1,1", "test,2,0"]},
            "row 2 of t.csv: column 'split' says 'test', which does not tell whether the row is for validation",
        ),
        wrong(
            "no row",
            {"column": "split"},
            {"t.csv": ["split,a,label", "train,1,1", "train,2,0"]},
            "column 'split' chooses no row for validation",
        ),
    ],
)
def test_validation_rows_that_cannot_be_had_are_refused(
    validation: dict[str, Any], files: dict[str, list[str]], message: str, tmp_path: Path
) -> None:
    for name, lines in ({"t.csv": ["a,label", *[f"{i},{i % 2}" for i in range(20)]]} | files).items():
        (tmp_path / name).write_text("\n".join(lines) + "\n")

    result = run(a_spec(tmp_path / "t.csv").with_data(validation=validation), tmp_path)

    assert (result.code, result.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput")
    assert message in result.report["message"]
