"""Classifiers of sounds: what they learn, and that they are served as they were trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.documentation import spec_in
from support.sounds import glides, tone, wav, write_folders
from support.tables import write_records
from support.trained import ends_alike_when_stopped, served_accuracy, trained_well
from support.trainer_runs import SpecBuilder, run, stop_at_checkpoint
from trainyard_api import names


def write(path: Path, sounds: list[bytes], labels: list[str]) -> Path:
    pq.write_table(pa.table({"clip": sounds, "label": labels}), path, row_group_size=150)
    return path


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> SpecBuilder:
    """The example of the documentation."""
    path = write_folders(tmp_path_factory.mktemp("data"), *glides(360))
    return (
        spec_in("how-to/texts-and-sounds.md", "glides")
        .with_data(source={"uri": str(path)}, validation={"fraction": 0.2})
        .with_checkpoint(everySteps=20)
    )


@pytest.fixture(scope="module")
def trained(spec: SpecBuilder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    trained_well(spec, folder, accuracy=0.9)
    return folder


def test_sounds_are_served_as_they_were_trained_with_core_operations_only(trained: Path) -> None:
    sounds, classes = glides(150, seed=9)

    assert served_accuracy(trained, {"audio_bytes": sounds}, classes) > 0.9


@pytest.mark.thorough
def test_sounds_in_tfrecord_files_train_as_well(spec: SpecBuilder, tmp_path: Path) -> None:
    sounds, classes = glides(360)
    records = [{"clip": [each], "label": label} for each, label in zip(sounds, classes, strict=True)]
    write_records(tmp_path / "t.tfrecord", records)

    trained_well(
        spec.with_data(source={"uri": str(tmp_path / "t.tfrecord")}, format="tfrecord", label="label"),
        tmp_path,
        accuracy=0.9,
    )


@pytest.mark.thorough
def test_stopped_and_resumed_it_ends_with_the_same_weights(spec: SpecBuilder, trained: Path, tmp_path: Path) -> None:
    ends_alike_when_stopped(spec, trained, tmp_path)


@pytest.mark.thorough
def test_sounds_that_do_not_fit_into_memory_are_streamed_in_blocks(spec: SpecBuilder, tmp_path: Path) -> None:
    spec = spec.with_fit(epochs=1000)

    with stop_at_checkpoint(tmp_path):  # what comes after it is as ever
        result = run(spec.with_checkpoint(everySteps=5), tmp_path, {"TRAINYARD_CACHE_BYTES": "400000"})

    assert result.code == names.EXIT_STOPPED
    assert "streamed" in result.the("data")["message"]


GOOD = wav(tone(440))


def in_parquet(spec: SpecBuilder, path: Path) -> SpecBuilder:
    return spec.with_data(source={"uri": str(path)}, format="parquet", label="label")


def test_a_file_in_a_folder_that_is_no_sound_is_named(spec: SpecBuilder, tmp_path: Path) -> None:
    data = write_folders(tmp_path / "data", [GOOD] * 20, ["a", "b"] * 10)
    (data / "b" / "notes.wav").write_text("not a sound")

    result = run(spec.with_data(source={"uri": str(data)}), tmp_path)

    assert (result.code, result.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput")
    assert result.report["message"].startswith("b/notes.wav: not a WAV file with 16-bit PCM samples")


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (b"", "Data too short"),
        (b"ID3\x04 an mp3 file, perhaps", "Expected RIFF but found ID3"),
        (GOOD[:1000], "Data too short"),
        (wav(tone(440), width=1), "received 8"),
        (wav(tone(440), width=3), "received 24"),
    ],
    ids=["empty", "other", "truncated", "8-bit", "24-bit"],
)
def test_a_file_that_cannot_be_served_is_named_before_training(
    broken: bytes, why: str, spec: SpecBuilder, tmp_path: Path
) -> None:
    path = write(tmp_path / "t.parquet", [GOOD] * 120 + [broken] + [GOOD] * 9, ["a", "b"] * 65)

    result = run(in_parquet(spec, path), tmp_path)

    assert (result.code, result.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput")
    assert "row 121 of t.parquet: not a WAV file with 16-bit PCM samples" in result.report["message"]
    assert why in result.report["message"]
    assert "ffmpeg" in result.report["message"]


@pytest.mark.parametrize(
    ("sounds", "audio", "message"),
    [
        ([wav(np.zeros(0))] * 40, {}, "holds no samples: its recording was cut off, or is empty"),
        ([GOOD] * 40, {"maxFreq": 5000}, "8000 samples a second, which holds frequencies up to 4000 Hz, but"),
        ([GOOD] * 40, {"maxFreq": 10}, "maxFreq must be higher than minFreq"),
        (["a text"] * 40, {}, "learns from one column with the bytes of WAV files, but the features are clip (text)"),
    ],
)
def test_sounds_and_settings_that_do_not_fit_are_bad_input(
    sounds: list[Any], audio: dict[str, Any], message: str, spec: SpecBuilder, tmp_path: Path
) -> None:
    path = write(tmp_path / "t.parquet", sounds, ["a", "b"] * 20)

    result = run(in_parquet(spec, path).with_keras(audio=audio), tmp_path)

    assert (result.code, result.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput")
    assert message in result.report["message"]
