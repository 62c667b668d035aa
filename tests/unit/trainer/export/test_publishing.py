"""Publishing a version on a disk that is full."""

from pathlib import Path

from support.full_disk import no_file_beyond
from support.trainer_runs import a_spec, run


def test_a_full_disk_is_named_and_nothing_half_written_stays(table: Path, tmp_path: Path) -> None:
    with no_file_beyond(20_000):
        result = run(a_spec(table), tmp_path)

    assert result.code == 1
    assert "/store/sample/.staging-uid-of-sample" in result.report["message"]
    assert not list((tmp_path / "store" / "sample").glob(".staging-*"))
