"""Projected folders change all at once."""

from pathlib import Path

from trainyard_devcluster.node.atomic import File, write


def test_a_folder_shows_exactly_the_files_it_is_given(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    assert write(folder, {"a": File(b"1"), "sub/b": File(b"2", 0o600)})
    assert (folder / "a").read_text() == "1"
    assert (folder / "sub/b").stat().st_mode & 0o777 == 0o600
    assert write(folder, {"a": File(b"3"), "c": File(b"4")})
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith("..")) == ["a", "c"]
    assert (folder / "a").read_text() == "3"


def test_nothing_is_written_where_nothing_changed(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    write(folder, {"a": File(b"1")})
    before = (folder / "..data").readlink()
    assert not write(folder, {"a": File(b"1")})
    assert (folder / "..data").readlink() == before
    assert write(folder, {"a": File(b"1", 0o400)})


def test_a_file_that_is_open_keeps_its_content_and_old_versions_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    write(folder, {"a": File(b"old")})
    with (folder / "a").open() as file:
        write(folder, {"a": File(b"new")})
        assert file.read() == "old"
    assert len([path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]) == 1
