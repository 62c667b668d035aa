"""What is learnt from WAV files before training."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from support.sounds import tone, wav
from trainyard_api.audio import AudioReading
from trainyard_trainer.data.schema import Column, Schema
from trainyard_trainer.data.sounds import SoundAnalyzer, SoundStatistics
from trainyard_trainer.data.table import RawBatch


def facts(*sounds: tuple[float, int], held_back: int = 0, **settings: Any) -> SoundStatistics:
    """Return what is learnt from sounds of so many seconds and samples a second; the last ones are for validation."""
    schema = Schema(Column("label", "text"), (Column("clip", "bytes"),))
    counter = SoundAnalyzer(AudioReading.model_validate(settings), schema)
    files = pa.array([wav(tone(100, seconds=seconds, rate=rate), rate) for seconds, rate in sounds], pa.binary())
    rows = RawBatch(
        "t.parquet", 0, np.zeros((len(sounds), 0), np.float32), (), pa.nulls(len(sounds)), media={"clip": files}
    )
    counter.count(counter.read(rows), np.arange(len(sounds)) < len(sounds) - held_back)
    return counter.finish(len(sounds) - held_back)


def test_rate_and_length_are_those_of_most_training_files() -> None:
    found = facts(*[(0.5, 8000)] * 3, *[(0.25, 16000)] * 2, *[(2, 44100)] * 4, held_back=4)

    assert (found.rate, found.samples) == (8000, 4000)
    assert (found.fft_length, found.stride, found.frames) == (512, 128, 32)
    assert (found.lowest, found.highest) == (20, 4000)


def test_a_few_long_files_do_not_make_all_sounds_long() -> None:
    assert facts(*[(0.1, 8000)] * 19, (3, 8000)).samples == 800
    assert facts(*[(0.1, 8000)] * 18, *[(3, 8000)] * 2).samples == 24000
    assert facts((11, 1000), (12, 1000)).samples == 10_000


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"samplingRate": 16000}, {"rate": 16000, "samples": 8000, "fft_length": 1024, "highest": 8000}),
        ({"seconds": 0.3}, {"samples": 2400}),
        ({"seconds": 0.001}, {"samples": 512}),
        ({"fftLength": 400, "sequenceStride": 160}, {"fft_length": 400, "stride": 160, "frames": 26}),
        ({"numMelBins": 20, "minFreq": 100, "maxFreq": 3000}, {"mel_bins": 20, "lowest": 100, "highest": 3000}),
    ],
)
def test_what_is_set_counts(settings: dict[str, Any], expected: dict[str, Any]) -> None:
    found = facts((0.5, 8000), (0.5, 8000), **settings)

    assert {name: getattr(found, name) for name in expected} == expected


def test_the_digest_tells_settings_apart() -> None:
    assert facts((0.5, 8000)).digest == facts((0.5, 8000)).digest
    assert facts((0.5, 8000)).digest != facts((0.5, 8000), numMelBins=20).digest
