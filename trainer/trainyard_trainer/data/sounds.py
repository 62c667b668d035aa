"""WAV files as a feature: what a model has to know of them before it hears them."""

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from trainyard_api.audio import AudioReading
from trainyard_trainer.data.bad_rows import UnreadableRows
from trainyard_trainer.data.modality import KERAS, ProgramTerms
from trainyard_trainer.data.schema import Schema
from trainyard_trainer.data.table import RawBatch
from trainyard_trainer.data.wav import as_plain, read_header
from trainyard_trainer.errors import BadInput, listed, one_line
from trainyard_trainer.tensors import Array, Arrays, Mask

SOUNDS = "sounds"
"""Name of the feature array: the bytes of WAV files."""
MAX_SECONDS = 10.0
PERCENTILE = 95
_WINDOW_SECONDS = 0.04
_ROW_BYTES = 64 << 10
_HUNDREDTHS = 60_000


@dataclass(frozen=True, slots=True)
class SoundStatistics:
    """How the sounds of one column are turned into spectrograms, without anything left open.

    `samples` is how much of each sound counts, at `rate` samples a second. Frequencies are in Hz.
    """

    column: str
    rate: int
    samples: int
    fft_length: int
    stride: int
    mel_bins: int
    lowest: float
    highest: float

    @property
    def frames(self) -> int:
        """Columns of a spectrogram."""
        # Half a window of mirrored sound is put at each end.
        return 1 + (self.samples - self.fft_length % 2) // self.stride

    @property
    def row_bytes(self) -> int:
        """Memory of a sound, as a file or a spectrogram."""
        return max(2 * self.samples, 4 * self.frames * self.mel_bins)

    @property
    def digest(self) -> bytes:
        """All settings: the model's input depends on nothing else."""
        return repr(self).encode()

    def arrays(self, raw: RawBatch) -> dict[str, Array]:
        """Return the files of raw rows."""
        return {SOUNDS: _files(raw, self.column)}


class SoundAnalyzer:
    """Decodes every WAV file once, and collects sampling rates and lengths of those to train on.

    Raises:
        BadInput: the data has not exactly one column of files to learn from.
    """

    def __init__(self, audio: AudioReading, schema: Schema, terms: ProgramTerms = KERAS) -> None:
        kinds = {each.name: each.kind for each in schema.features}
        if list(kinds.values()) != ["bytes"]:
            raise BadInput(
                f"{terms.what('audio')} learns from one column with the bytes of WAV files, but the features are "
                f"{listed([f'{name} ({kind})' for name, kind in kinds.items()])}: name that column in data.features"
            )
        (self._column,) = kinds
        self._audio = audio
        self._heard: list[tuple[int, int]] = []
        self._rates: Counter[int] = Counter()
        self._lengths = np.zeros(_HUNDREDTHS + 1, np.int64)
        self.row_bytes = _ROW_BYTES

    def read(self, raw: RawBatch) -> dict[str, Array]:
        """Return the files of rows as they are, once each has been decoded."""
        files = _files(raw, self._column)
        bad: dict[int, str] = {}
        self._heard = []
        for row, file in enumerate(files):
            try:
                self._heard.append(_measure(file))
            except BadInput as error:
                bad[row] = str(error)
        if bad:
            raise UnreadableRows(bad, first=raw.where(min(bad)))
        return {SOUNDS: files}

    def count(self, read: Arrays, training: Mask) -> None:
        """Take in the rows that were read last."""
        for (rate, samples), wanted in zip(self._heard, training, strict=True):
            if wanted:
                self._rates[rate] += 1
                self._lengths[min(math.ceil(100 * samples / rate), _HUNDREDTHS)] += 1

    def finish(self, training_rows: int) -> SoundStatistics:
        """Return the settings, with what was left open filled in.

        Raises:
            BadInput: the sounds are all empty, or the settings do not fit their sampling rate.
        """
        audio = self._audio
        rate = audio.sampling_rate or max(self._rates, key=lambda each: (self._rates[each], each))
        fft_length = audio.fft_length or 1 << math.ceil(math.log2(_WINDOW_SECONDS * rate))
        highest = audio.max_freq or rate / 2
        if not audio.min_freq < highest <= rate / 2:
            raise BadInput(
                f"the sounds have {rate} samples a second, which holds frequencies up to {rate // 2} Hz, but "
                f"audio.minFreq is {audio.min_freq:g} and audio.maxFreq {highest:g}: lower them, or set samplingRate"
            )
        return SoundStatistics(
            column=self._column,
            rate=rate,
            samples=max(round(self._seconds() * rate), fft_length),
            fft_length=fft_length,
            stride=audio.sequence_stride or fft_length // 4,
            mel_bins=audio.num_mel_bins,
            lowest=audio.min_freq,
            highest=highest,
        )

    def settle(self, kept: Arrays) -> Arrays:
        """Return kept files as they are."""
        return kept

    def _seconds(self) -> float:
        if not self._lengths[1:].any():
            raise BadInput(f"the files in column {self._column!r} hold no sound: each is empty")
        reached = np.cumsum(self._lengths) * 100 >= self._lengths.sum() * PERCENTILE
        return self._audio.seconds or min(float(np.argmax(reached)) / 100, MAX_SECONDS)


def _files(raw: RawBatch, column: str) -> Array:
    return np.array([each or b"" for each in raw.media[column].to_pylist()], object)


def _measure(file: bytes) -> tuple[int, int]:
    """Return sampling rate and number of samples of a WAV file.

    The operation that decodes it here is the one that is served, so both take and refuse the same files.
    """
    import tensorflow as tf  # set up by now: see inputs.needs_tensorflow

    header = read_header(file)
    try:
        sound = tf.audio.decode_wav(as_plain(file, header))
    # TensorFlow quotes what it found, which may be no text at all.
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        said = error.message.partition("}} ")[2].partition(" [Op:")[0] if isinstance(error, tf.errors.OpError) else ""
        why = f" ({one_line(said, 200)})" if said else ""
        raise BadInput(
            f"not a WAV file with 16-bit PCM samples{why}; convert it, for example with "
            "ffmpeg -i FILE -c:a pcm_s16le FILE.wav"
        ) from error
    return int(sound.sample_rate), int(sound.audio.shape[0])
