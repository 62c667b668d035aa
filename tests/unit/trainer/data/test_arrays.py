"""NPZ files."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainyard_trainer.data.dataset import DataSet, open_data_set
from trainyard_trainer.data.reading import Reading
from trainyard_trainer.data.source import find, further_files
from trainyard_trainer.data.table import RawBatch
from trainyard_trainer.errors import BadInput

COUNT = 10
LABELS = np.array(["no", "yes"] * 5)


def open_arrays(
    path: Path, label: str = "label", features: list[str] | None = None, validation: str | None = None, **reading: Any
) -> DataSet:
    source = find(str(path), "auto")
    beside = further_files(source, validation, field="data.validation.uri", beside=str(path)) if validation else None
    return open_data_set(source, label=label, features=features, reading=Reading(validation=beside, **reading))


def read(data_set: DataSet, batch_rows: int = 4) -> list[RawBatch]:
    return [raw for shard in data_set.shards() for raw in data_set.read(shard, batch_rows=batch_rows)]


def together(parts: list[Any]) -> list[Any]:
    return [value for part in parts for value in part.to_pylist()]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_columns_and_tables_and_images(save: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    arrays = {
        "age": np.arange(COUNT),
        "smoker": np.arange(COUNT) % 3 == 0,
        "town": np.array([f"tøwn {i}" for i in range(COUNT)]),
        "code": np.array([b"a", b"bc"] * 5),
        "signal": rng.normal(size=(COUNT, 3)),
        "column_major": np.asfortranarray(rng.normal(size=(COUNT, 2))),
        "photo": rng.integers(0, 255, (COUNT, 4, 5, 3)).astype(np.uint8),
        "map": rng.normal(size=(COUNT, 4, 5)),
    }
    save(tmp_path / "t.npz", **arrays, label=LABELS)

    data_set = open_arrays(tmp_path / "t.npz")
    parts = read(data_set)

    assert [len(each) for each in parts] == [4, 4, 2]
    assert [each.first_row for each in parts] == [0, 4, 8]
    assert data_set.schema.numbers == (
        "age", "smoker", "signal_0", "signal_1", "signal_2", "column_major_0", "column_major_1",
    )  # fmt: skip
    expected = np.column_stack([arrays[name] for name in ("age", "smoker", "signal", "column_major")])
    np.testing.assert_array_equal(np.concatenate([each.numbers for each in parts]), expected.astype(np.float32))
    assert together([each.texts[0] for each in parts]) == arrays["town"].tolist()
    assert together([each.texts[1] for each in parts]) == ["a", "bc"] * 5
    assert together([each.label for each in parts]) == LABELS.tolist()
    for name, dtype in (("photo", np.uint8), ("map", np.float32)):
        found = np.concatenate([each.media[name] for each in parts])
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, arrays[name].astype(dtype))


def test_only_the_arrays_that_are_used_have_to_fit_each_other(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "t.npz",
        x_train=np.zeros((COUNT, 2)),
        y_train=np.arange(COUNT).reshape(-1, 1),
        x_test=np.zeros((3, 2)),
        y_test=np.zeros((3, 1)),
        version=np.array(3),
    )

    data_set = open_arrays(tmp_path / "t.npz", label="y_train", features=["x_train"])

    assert data_set.schema.numbers == ("x_train_0", "x_train_1")
    assert together([each.label for each in read(data_set)]) == list(range(COUNT))


def test_many_files_read_as_one(tmp_path: Path) -> None:
    for part in range(3):
        np.savez(tmp_path / f"part-{part}.npz", a=np.full(COUNT, part), label=LABELS)

    numbers = np.concatenate([each.numbers for each in read(open_arrays(tmp_path))])

    assert numbers[:, 0].tolist() == [0] * COUNT + [1] * COUNT + [2] * COUNT


def pickled() -> Any:
    return np.array([{"a": 1}] * COUNT, dtype=object)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(3)}, "have different numbers of rows (a 3, label 10)"),
        ({"a": pickled()}, "column 'a' holds Python objects: expected numbers"),
        ({"a": np.zeros(COUNT, complex)}, "column 'a' holds complex128: expected numbers"),
        ({"a": np.zeros(COUNT, "datetime64[s]")}, "column 'a' holds datetime64[s]"),
        ({}, "has no column beside the label 'label'"),
    ],
)
def test_arrays_one_cannot_learn_from_are_refused(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", **arrays, label=LABELS)

    with pytest.raises(BadInput) as raised:
        read(open_arrays(tmp_path / "t.npz"))

    assert message in str(raised.value)


def test_files_whose_rows_differ_in_shape_are_refused(tmp_path: Path) -> None:
    for part in (4, 5):
        np.savez(tmp_path / f"part-{part}.npz", a=np.zeros((COUNT, part, part)), label=LABELS)

    with pytest.raises(BadInput, match=r"a row of 'a' has shape \(5, 5\) in part-5.npz and \(4, 4\) in part-4.npz"):
        open_arrays(tmp_path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    whole = io.BytesIO()
    np.savez(whole, a=np.arange(1000), label=np.arange(1000))
    (tmp_path / "cut.npz").write_bytes(whole.getvalue()[:-50])
    with zipfile.ZipFile(tmp_path / "short.npz", "w") as archive:
        for name in ("a", "label"):
            with zipfile.ZipFile(whole) as good:
                archive.writestr(f"{name}.npy", good.read(f"{name}.npy")[:-8])
    (tmp_path / "text.npz").write_text("not a zip file")

    for name in ("cut", "short", "text"):
        with pytest.raises(BadInput, match=f"cannot read {name}.npz"):
            read(open_arrays(tmp_path / f"{name}.npz"))


def test_the_rows_of_another_file_are_held_back(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", a=np.arange(COUNT), label=LABELS)
    np.savez(tmp_path / "test.npz", a=np.arange(3), label=LABELS[:3])

    parts = read(open_arrays(tmp_path / "train.npz", validation="test.npz"))

    assert [(each.file, np.asarray(each.held_back).tolist()) for each in parts] == [
        ("train.npz", [False] * 4), ("train.npz", [False] * 4), ("train.npz", [False] * 2), ("test.npz", [True] * 3),
    ]  # fmt: skip


def test_files_to_validate_with_need_the_same_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", a=np.zeros((COUNT, 4, 4), np.uint8), label=LABELS)
    np.savez(tmp_path / "floats.npz", a=np.zeros((COUNT, 4, 4)), label=LABELS)
    np.savez(tmp_path / "other.npz", b=np.zeros((COUNT, 4, 4), np.uint8), label=LABELS)

    for name, message in (
        ("floats.npz", "array 'a' holds float64 in floats.npz and uint8 in train.npz"),
        ("other.npz", "column 'a' is in train.npz but not in other.npz"),
    ):
        with pytest.raises(BadInput, match=message):
            open_arrays(tmp_path / "train.npz", validation=name)


@pytest.mark.parametrize(
    "split",
    [
        np.array(["train", "Val"] * 5),
        np.array([b"0", b"1"] * 5),
        np.arange(COUNT) % 2,
        (np.arange(COUNT) % 2).astype(np.float64).reshape(-1, 1),
        np.arange(COUNT) % 2 == 1,
    ],
)
def test_an_array_may_say_which_rows_are_held_back_and_is_no_feature(split: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", a=np.arange(COUNT), split=split, label=LABELS)

    data_set = open_arrays(tmp_path / "t.npz", validation_column="split")

    assert data_set.schema.numbers == ("a",)
    assert np.concatenate([each.held_back for each in read(data_set)]).tolist() == [False, True] * 5


@pytest.mark.parametrize(
    ("split", "features", "message"),
    [
        (np.arange(COUNT), None, "row 3 of t.npz: column 'split' says '2', which does not tell whether the row is"),
        (np.zeros((COUNT, 2, 2)), None, "names 'split', which holds array: expected an array of true and false"),
        (pickled(), None, "names 'split', which holds Python objects: expected an array of true and false"),
        (np.arange(COUNT), ["a", "split"], "data.features lists 'split', which data.validation.column says"),
        (np.zeros((COUNT, 2)), None, "data.validation.column is 'split', which is not a column of t.npz"),
    ],
)
def test_an_array_that_does_not_tell_them_apart_is_refused(
    split: Any, features: list[str] | None, message: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "t.npz", a=np.arange(COUNT), split=split, label=LABELS)

    with pytest.raises(BadInput) as raised:
        read(open_arrays(tmp_path / "t.npz", features=features, validation_column="split"))

    assert message in str(raised.value)


def test_rows_without_a_label_or_with_pixels_that_are_no_numbers_are_left_out_as_far_as_allowed(tmp_path: Path) -> None:
    maps, label = np.zeros((COUNT, 2, 2)), np.arange(COUNT, dtype=float)
    maps[1, 0, 0], label[6] = np.inf, np.nan
    np.savez(tmp_path / "t.npz", map=maps, label=label)
    data_set = open_arrays(tmp_path / "t.npz", max_bad_rows=2)

    for _ in range(2):
        parts = read(data_set)
        assert together([each.label for each in parts]) == [0, 2, 3, 4, 5, 7, 8, 9]
        assert [each.first_row for each in parts] == [0, 3, 6]
        assert parts[1].where(2) == "row 8 of t.npz"

    assert data_set.bad_rows.first == [
        "row 2 of t.npz: the array 'map' holds a number that is not finite",
        "row 7 of t.npz: the label 'label' is missing, or no finite number",
    ]
    with pytest.raises(BadInput, match=r"row 2 of t.npz: .*allow some to be left out with data.maxBadRows"):
        read(open_arrays(tmp_path / "t.npz"))


@pytest.mark.parametrize(
    ("shape", "content", "message"),
    [
        pytest.param((10**15, 8), b"\0" * 64, "but there are 64", id="rows"),
        pytest.param((2**40, 2**40), b"", "but there are 0", id="overflow"),
        pytest.param((10**15, 0), b"", "the rows of an array hold nothing", id="empty rows"),
        pytest.param((0, 10**9), b"", "1,000,000,000 columns, expected at most", id="columns"),
        pytest.param((2,), b"\0" * 24, "16 bytes, but there are 24", id="more than announced"),
    ],
)
def test_a_header_that_lies_takes_no_memory(
    shape: tuple[int, ...], content: bytes, message: str, tmp_path: Path
) -> None:
    text = f"{{'descr': '<f8', 'fortran_order': True, 'shape': {shape}}}".encode()
    array = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("x.npy", array)

    with pytest.raises(BadInput, match=f"cannot read data.npz: .*{message}"):
        open_arrays(tmp_path / "data.npz")
