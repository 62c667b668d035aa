"""WAV files for tests, written with the standard library."""

import io
import wave
from pathlib import Path
from typing import Any

import numpy as np

_DIRECTIONS = {"falls": -1, "rises": 1, "stays": 0}


def wav(samples: Any, rate: int = 8000, *, width: int = 2) -> bytes:
    """Return a WAV file of samples from -1 to 1, [samples] or [samples, channels], with `width` bytes each."""
    values = np.clip(np.asarray(samples, np.float64), -1, 1)
    values = values if values.ndim == 2 else values[:, np.newaxis]
    whole = np.round(values * (2 ** (8 * width - 1) - 1)).astype(np.int64) + (128 if width == 1 else 0)
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(values.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(whole.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width].tobytes())
    return stream.getvalue()


def tone(frequency: float, *, seconds: float = 0.5, rate: int = 8000, loudness: float = 0.5) -> Any:
    """Return a sine."""
    return loudness * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def glide(direction: int, rng: Any, *, rate: int = 8000) -> Any:
    """Return a tone somewhere between 300 and 4000 Hz that falls (-1), stays (0) or rises (1), with noise behind it."""
    count = int(rate * rng.uniform(0.25, 0.5))
    way = np.linspace(0, 1, count) if direction >= 0 else np.linspace(1, 0, count)
    frequency = rng.uniform(300, 2000) * (1 + abs(direction) * way * rng.uniform(0.5, 1))
    loudness = 10 ** rng.uniform(-1.5, -0.2)
    return loudness * np.sin(2 * np.pi * np.cumsum(frequency) / rate) + rng.normal(0, 0.01, count)


def glides(count: int, seed: int = 1) -> tuple[list[bytes], list[str]]:
    """Return sounds of all pitches and loudnesses, and what becomes of their pitch."""
    rng = np.random.default_rng(seed)
    classes = [str(rng.choice(list(_DIRECTIONS))) for _ in range(count)]
    rates = rng.choice([8000, 8000, 11025], count)
    return [
        wav(glide(_DIRECTIONS[each], rng, rate=rate), rate) for each, rate in zip(classes, rates, strict=True)
    ], classes


def write_folders(folder: Path, sounds: list[bytes], classes: list[str]) -> Path:
    """Write WAV files into a folder for each class."""
    for number, (sound, class_) in enumerate(zip(sounds, classes, strict=True)):
        (folder / class_).mkdir(parents=True, exist_ok=True)
        (folder / class_ / f"{number}.wav").write_bytes(sound)
    return folder
