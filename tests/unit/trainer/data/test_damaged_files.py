"""Files with bytes changed at random: whatever they hold, they are read or refused as bad input, in bounded memory."""

import gzip
import io
import random
import resource
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from support.sounds import tone, wav
from support.tables import write_records
from support.trainer_runs import SpecBuilder, a_spec, environment
from trainyard_trainer.errors import BadInput, one_line
from trainyard_trainer.prepare import prepare
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.progress_server import ProgressTracker
from trainyard_trainer.spec import read_run

ROWS = 40
NUMBERS = [float(i) * 1.5 for i in range(ROWS)]
KINDS = ["red", "green"] * (ROWS // 2)
LABELS = [("yes", "no")[i % 3 > 0] for i in range(ROWS)]
MEMORY = 1 << 30


def csv(path: Path) -> Path:
    rows = "".join(f'{a},"{k}",{label}\n' for a, k, label in zip(NUMBERS, KINDS, LABELS, strict=True))
    path.write_text(f"a,kind,label\n{rows}")
    return path


def zipped_csv(path: Path) -> Path:
    path.write_bytes(gzip.compress(csv(path).read_bytes()))
    return path


def parquet(path: Path) -> Path:
    pq.write_table(pa.table({"a": NUMBERS, "kind": KINDS, "label": LABELS}), path, row_group_size=16)
    return path


def npz(path: Path) -> Path:
    np.savez_compressed(path, a=np.array(NUMBERS), kind=np.array(KINDS), label=np.array(LABELS))
    return path


def records(path: Path) -> Path:
    rows = zip(NUMBERS, KINDS, LABELS, strict=True)
    return write_records(path, [{"a": a, "kind": kind, "label": label} for a, kind, label in rows])


def files(path: Path, content: bytes) -> Path:
    for number in range(6):
        folder = path.parent / "media" / ("yes", "no")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}{path.suffix}").write_bytes(content)
    return path.parent / "media" / "yes" / f"0{path.suffix}"


PIXELS = np.random.default_rng(4).integers(0, 256, (24, 24, 3), np.uint8)


def bmp() -> bytes:
    head = b"BM" + (54 + 24 * 72).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    size = (40).to_bytes(4, "little") + 2 * (24).to_bytes(4, "little") + b"\x01\x00\x18\x00" + bytes(24)
    return head + size + PIXELS.tobytes()


def gif() -> bytes:
    palette = bytes(range(256)) * 3
    head = b"GIF89a" + b"\x08\x00\x08\x00\xf7\x00\x00" + palette + b",\x00\x00\x00\x00\x08\x00\x08\x00\x00"
    codes = [256 if i % 100 == 0 else i for i in range(65)]
    bits = sum(code << (9 * place) for place, code in enumerate([*codes, 257]))
    content = bits.to_bytes((9 * 66 + 7) // 8, "little")
    return head + b"\x08" + bytes([len(content)]) + content + b"\x00;"


WRITERS: dict[str, Callable[[Path], Path]] = {
    "t.csv": csv,
    "t.csv.gz": zipped_csv,
    "t.parquet": parquet,
    "t.npz": npz,
    "t.tfrecord": records,
    "t.wav": lambda path: files(path, wav(tone(440, seconds=0.05))),
    "t.png": lambda path: files(path, tf.io.encode_png(PIXELS).numpy()),
    "t.jpg": lambda path: files(path, tf.io.encode_jpeg(PIXELS).numpy()),
    "t.gif": lambda path: files(path, gif()),
    "t.bmp": lambda path: files(path, bmp()),
}
AUDIO, IMAGE = {"family": "audioClassifier"}, {"family": "cnn", "image": {"height": 8, "width": 8}}


def spec_of(name: str, path: Path) -> SpecBuilder:
    if name.endswith((".wav", ".png", ".jpg", ".gif", ".bmp")):
        spec = a_spec(path.parents[1]).with_data(format="directory", validation={"fraction": 0})
        return spec.with_keras(**(AUDIO if name.endswith(".wav") else IMAGE))
    return a_spec(path)


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return bytes that were changed as disks, networks and people do it."""
    changed = bytearray(content)
    place = rng.randrange(len(changed)) if rng.random() < 0.6 else rng.randrange(min(64, len(changed)))
    length = rng.choice([1, 1, 2, 4, 16, 300])
    match rng.randrange(6):
        case 0:
            del changed[place:]
        case 1:
            del changed[place : place + length]
        case 2:
            changed[place:place] = rng.randbytes(length)
        case 3:
            changed[place : place + length] = bytes(min(length, len(changed) - place))
        case 4:
            changed[place : place + length] = b"\xff" * min(length, len(changed) - place)
        case _:
            for _ in range(length):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


@contextmanager
def _memory_bounded() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < MEMORY, f"{grown >> 10} MiB more were taken"


def read_or_refuse(name: str, folder: Path, seeds: range) -> int:
    """Read a file damaged in several ways; returns how many of them were refused."""
    path = WRITERS[name](folder / name)
    whole, refused = path.read_bytes(), 0
    run = read_run(str(spec_of(name, path).with_data(maxBadRows=0).write(folder)), environment(folder))
    tolerant = read_run(str(spec_of(name, path).with_data(maxBadRows=3).write(folder)), environment(folder))
    for seed in seeds:
        path.write_bytes(damaged(whole, random.Random(f"{name} {seed}")))
        for job in (run, tolerant):
            try:
                prepare(job, tracker=ProgressTracker(), event_log=EventLog(io.StringIO()))
            except BadInput as error:
                refused += one_line(error).isprintable()
            except Exception as error:
                raise AssertionError(f"{name}, seed {seed}: {type(error).__name__}: {error}") from error
    return refused


@pytest.mark.parametrize("name", WRITERS)
def test_a_damaged_file_is_read_or_refused(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with _memory_bounded():
        assert read_or_refuse(name, tmp_path, range(4)) > 0

    assert "Exception ignored" not in capfd.readouterr().err


@pytest.mark.thorough
@pytest.mark.parametrize("name", WRITERS)
def test_300_damaged_files_are_read_or_refused(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with _memory_bounded():
        assert read_or_refuse(name, tmp_path, range(300)) > 100

    assert "Exception ignored" not in capfd.readouterr().err


def test_an_image_of_more_pixels_than_are_read_is_refused_by_its_header(tmp_path: Path) -> None:
    path = files(tmp_path / "t.png", tf.io.encode_png(PIXELS).numpy())
    path.write_bytes(path.read_bytes()[:16] + struct.pack(">II", 16_000, 16_000) + path.read_bytes()[24:])
    run = read_run(str(spec_of("t.png", path).write(tmp_path)), environment(tmp_path))

    with _memory_bounded(), pytest.raises(BadInput, match=r"yes/0.png: has 16,000 x 16,000 pixels, more than the 50,0"):
        prepare(run, tracker=ProgressTracker(), event_log=EventLog(io.StringIO()))
