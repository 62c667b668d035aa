"""The header of a WAV file: what it says, and whether what follows can be heard.

http://soundfile.sapp.org/doc/WaveFormat, and for WAVE_FORMAT_EXTENSIBLE
https://learn.microsoft.com/windows/win32/api/mmreg/ns-mmreg-waveformatextensible
"""

import struct
from dataclasses import dataclass

from trainyard_trainer.errors import BadInput, one_line

_PCM, _EXTENSIBLE = 1, 0xFFFE
_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")
EXTENSIBLE_BYTES = 40
PLAIN_HEADER = b"fmt \x10\x00\x00\x00\x01\x00"
_ENCODINGS = {2: "ADPCM", 3: "floats", 6: "A-law", 7: "mu-law", 0x55: "MP3"}
_STARTS = {
    b"ID3": "an MP3", b"fLaC": "FLAC", b"OggS": "Ogg", b"RIFX": "a big-endian RIFF file", b"FORM": "AIFF",
    b"RF64": "a WAV file of more than 4 GiB (RF64)",
}  # fmt: skip
_CONVERT = "convert it, for example with ffmpeg -i FILE -c:a pcm_s16le FILE.wav"


@dataclass(frozen=True, slots=True)
class WavHeader:
    """What a header says. `format_at` is where its chunk `fmt ` begins; `extensible` is the longer kind of it."""

    rate: int
    channels: int
    samples: int
    format_at: int
    extensible: bool


def read_header(file: bytes) -> WavHeader:
    """Return what the header of a WAV file says.

    Raises:
        BadInput: it is no WAV file, or one without 16-bit PCM samples.
    """
    if not file:
        raise _refused("Data too short: it is empty")
    if file[:4] != b"RIFF" or file[8:12] != b"WAVE":
        mp3 = len(file) > 1 and file[0] == 0xFF and file[1] & 0xE0 == 0xE0
        found = next((what for start, what in _STARTS.items() if file.startswith(start)), "an MP3" if mp3 else None)
        begins = one_line(file[:4].decode("ascii", "backslashreplace"))
        raise _refused(f"Expected RIFF but found {begins}" + (f": it is {found}" if found else ""))
    at, format_at, header = 12, 0, None
    while at + _CHUNK.size <= len(file):
        name, size = _CHUNK.unpack_from(file, at)
        if name == b"fmt ":
            format_at, header = at, _format(file, at + _CHUNK.size, size)
        elif name == b"data":
            if header is None:
                raise _refused("its samples come before the chunk 'fmt '")
            rate, channels, extensible = header
            samples = min(size, len(file) - at - _CHUNK.size) // (2 * channels)
            if not samples:
                raise BadInput("holds no samples: its recording was cut off, or is empty")
            return WavHeader(rate, channels, samples, format_at, extensible)
        at += _CHUNK.size + size + size % 2
    raise _refused(f"it has no chunk {'data' if header else 'fmt '!r}")


def _format(file: bytes, at: int, size: int) -> tuple[int, int, bool]:
    """Return sampling rate, channels and whether a chunk `fmt ` is the longer one."""
    if size < _FORMAT.size or at + size > len(file):
        raise _refused("its header is damaged")
    tag, channels, rate, _, _, bits = _FORMAT.unpack_from(file, at)
    extensible = tag == _EXTENSIBLE and size == EXTENSIBLE_BYTES
    if extensible:
        (tag,) = struct.unpack_from("<H", file, at + 24)
    if tag != _PCM or bits != 16:
        kind = _ENCODINGS.get(tag, f"encoding {tag}")
        raise _refused(f"expected 16 bits, received {bits}" if tag == _PCM else f"its samples are {kind}")
    if not channels or not rate:
        raise _refused(f"its header tells of {channels} channels at {rate} Hz")
    return rate, channels, extensible


def _refused(why: str) -> BadInput:
    return BadInput(f"not a WAV file with 16-bit PCM samples ({why}); {_CONVERT}")


def as_plain(file: bytes, header: WavHeader) -> bytes:
    """Return a WAV file with the header that TensorFlow knows: the samples are the same."""
    if not header.extensible:
        return file
    at = header.format_at
    return file[:at] + PLAIN_HEADER + file[at + 10 : at + 24] + file[at + 8 + EXTENSIBLE_BYTES :]
