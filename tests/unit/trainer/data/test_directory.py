"""A folder for each class."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainyard_trainer.data.dataset import DataSet, open_data_set
from trainyard_trainer.data.directory import SHARD_FILES
from trainyard_trainer.data.reading import Reading
from trainyard_trainer.data.source import find, further_files
from trainyard_trainer.errors import BadInput


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def open_folder(
    folder: Path, features: list[str] | None = None, *, validation: str | None = None, bad_rows: int = 0
) -> DataSet:
    source = find(str(folder), "directory")
    beside = further_files(source, validation, field="data.validation.uri", beside=str(folder)) if validation else None
    reading = Reading(validation=beside, max_bad_rows=bad_rows)
    return open_data_set(source, label="label", features=features, reading=reading)


def rows(data_set: DataSet, column: str, batch_rows: int = 1000) -> dict[str, tuple[Any, Any]]:
    """Return content and label of each file."""
    found: dict[str, tuple[Any, Any]] = {}
    for shard in data_set.shards():
        for raw in data_set.read(shard, batch_rows=batch_rows):
            values = raw.media[column] if raw.media else raw.texts[0]
            assert len(raw) <= batch_rows
            assert raw.where(0) == raw.files[0]
            found |= dict(zip(raw.files, zip(values.to_pylist(), raw.label.to_pylist(), strict=True), strict=True))
    return found


@pytest.mark.parametrize(
    ("suffix", "column", "kind"),
    [(".png", "image", "bytes"), (".JPEG", "image", "bytes"), (".wav", "audio", "bytes"), (".txt", "text", "text")],
)
def test_a_row_is_what_is_in_a_file_and_its_label_the_name_of_the_folder(
    suffix: str, column: str, kind: str, tmp_path: Path
) -> None:
    put(tmp_path, {f"cat/a{suffix}": b"1", f"cat/b{suffix}": b"", f"dog/a{suffix}": b"3"})
    put(tmp_path, {".hidden/x.mp3": b"", "_SUCCESS": b"", "cat/.DS_Store": b"junk"})

    data_set = open_folder(tmp_path)

    assert [(each.name, each.kind) for each in data_set.schema.features] == [(column, kind)]
    contents = {name: (value if kind == "bytes" else value.encode(), label) for name, (value, label) in
                rows(data_set, column).items()}  # fmt: skip
    assert contents == {
        f"cat/a{suffix}": (b"1", "cat"), f"cat/b{suffix}": (b"", "cat"), f"dog/a{suffix}": (b"3", "dog"),
    }  # fmt: skip


def test_folders_named_by_numbers_are_numbers(tmp_path: Path) -> None:
    data_set = open_folder(put(tmp_path, {"9/a.png": b"", "10/a.png": b""}))

    assert sorted(label for _, label in rows(data_set, "image").values()) == [9.0, 10.0]


def test_folders_whose_names_only_look_like_numbers_are_texts(tmp_path: Path) -> None:
    data_set = open_folder(put(tmp_path, {"007/a.png": b"", "10/a.png": b""}))

    assert sorted(label for _, label in rows(data_set, "image").values()) == ["007", "10"]


def test_the_order_is_always_the_same_and_mixes_the_classes(tmp_path: Path) -> None:
    names = [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(SHARD_FILES)]
    put(tmp_path, dict.fromkeys(names, b""))
    data_set = open_folder(tmp_path)

    order = list(rows(data_set, "image", batch_rows=50))

    assert len(data_set.shards()) == 2
    assert sorted(order) == sorted(names)
    assert order == list(rows(open_folder(tmp_path), "image", batch_rows=7))
    assert 0.3 < np.mean([name.startswith("cat") for name in order[:SHARD_FILES]]) < 0.7


@pytest.mark.parametrize(
    ("files", "features", "message"),
    [
        ({"cat/a.png": b"", "readme.png": b""}, None, "readme.png is not in the folder of a class"),
        ({"cat/kittens/a.png": b""}, None, "cat/kittens/a.png is not in the folder of a class"),
        ({"cat/a.png": b"", "dog/a.txt": b""}, None, "of different kinds, such as cat/a.png and dog/a.txt"),
        ({"cat/a.png": b"", "dog/notes.md": b""}, None, "dog/notes.md is not a file to learn from: expected one"),
        ({"cat/a.png": b""}, ["picture"], "data.features is 'picture', which is not a column"),
        ({"cat/a.txt": b"\xff\xfe"}, None, "cat/a.txt: not a text in UTF-8; replace or remove it, or allow some"),
        ({}, None, "holds no files"),
    ],
)
def test_what_does_not_belong_there_is_named(
    files: dict[str, bytes], features: list[str] | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput) as raised:
        rows(open_folder(put(tmp_path, files), features), "text")

    assert message in str(raised.value)


def test_the_files_of_another_folder_are_held_back(tmp_path: Path) -> None:
    put(tmp_path, {"train/cat/a.png": b"1", "train/dog/a.png": b"2", "test/cat/a.png": b"3", "test/dog/b.png": b"4"})

    data_set = open_folder(tmp_path / "train", validation="test")

    assert rows(data_set, "image") == {
        "cat/a.png": (b"1", "cat"), "dog/a.png": (b"2", "dog"),
        "test/cat/a.png": (b"3", "cat"), "test/dog/b.png": (b"4", "dog"),
    }  # fmt: skip
    held_back = {name for shard in data_set.shards() for raw in data_set.read(shard) if np.all(raw.held_back)
                 for name in raw.files}  # fmt: skip
    assert held_back == {"test/cat/a.png", "test/dog/b.png"}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"test/a.png": b""}, "test/a.png is not in the folder of a class"),
        ({"test/cat/a.txt": b""}, "of different kinds, such as cat/a.png and test/cat/a.txt"),
        ({}, "holds no files"),
    ],
)
def test_what_does_not_belong_into_the_other_folder_is_named(
    files: dict[str, bytes], message: str, tmp_path: Path
) -> None:
    put(tmp_path, {"train/cat/a.png": b"1", "train/dog/a.png": b"2"} | files)
    (tmp_path / "test").mkdir(exist_ok=True)

    with pytest.raises(BadInput) as raised:
        open_folder(tmp_path / "train", validation="test")

    assert message in str(raised.value)


def test_texts_that_are_not_utf8_are_left_out_as_far_as_allowed_each_time_anew(tmp_path: Path) -> None:
    put(tmp_path, {f"cat/{i}.txt": b"purr" for i in range(5)} | {"cat/x.txt": b"\xff", "dog/y.txt": b"a\xc3"})
    data_set = open_folder(tmp_path, bad_rows=2)

    for batch_rows in (3, 100):
        assert sorted(rows(data_set, "text", batch_rows)) == [f"cat/{i}.txt" for i in range(5)]

    assert sorted(data_set.bad_rows.first) == ["cat/x.txt: not a text in UTF-8", "dog/y.txt: not a text in UTF-8"]
    with pytest.raises(BadInput, match=r"more than 1 rows cannot be used.*: not a text in UTF-8; correct them, or"):
        rows(open_folder(tmp_path, bad_rows=1), "text")
