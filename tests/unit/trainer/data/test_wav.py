"""Headers of WAV files: what is read, and what is said of the rest."""

import struct

import numpy as np
import pytest
import tensorflow as tf

from support.sounds import tone, wav
from trainyard_trainer.data.wav import as_plain, read_header
from trainyard_trainer.encoding.sounds import _with_plain_header
from trainyard_trainer.errors import BadInput

PLAIN = wav(tone(440))
PCM = b"\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"


def extensible(file: bytes = PLAIN, *, sub_format: bytes = PCM, before: bytes = b"") -> bytes:
    """Return a WAV file with the longer header that Windows and ffmpeg write."""
    begin = file.index(b"fmt ")
    chunk = b"fmt " + struct.pack("<I", 40) + b"\xfe\xff" + file[begin + 10 : begin + 24]
    chunk += struct.pack("<HHI", 22, 16, 4) + sub_format
    return file[:12] + before + chunk + file[begin + 24 :]


JUNK = b"JUNK" + struct.pack("<I", 6) + b"abcdef"


@pytest.mark.parametrize("before", [b"", JUNK], ids=["", "behind another chunk"])
def test_an_extensible_header_is_read_like_the_plain_one(before: bytes) -> None:
    file = extensible(before=before)
    header = read_header(file)

    samples = tf.audio.decode_wav(as_plain(file, header)).audio
    served = tf.audio.decode_wav(tf.function(_with_plain_header)(tf.constant(file))).audio

    assert header.extensible
    np.testing.assert_array_equal(samples, tf.audio.decode_wav(PLAIN).audio)
    np.testing.assert_array_equal(served, samples)


@pytest.mark.parametrize("file", [PLAIN, b"", b"RIFF", PLAIN[:30], b"\xff\xfb" * 40, JUNK * 9])
def test_the_graph_leaves_every_other_file_as_it_is(file: bytes) -> None:
    assert tf.function(_with_plain_header)(tf.constant(file)).numpy() == file


REFUSED = [
    pytest.param(b"", "Data too short: it is empty", id="empty"),
    pytest.param(b"\xff\xfb\x90\x00" * 30, "it is an MP3); convert it", id="mp3"),
    pytest.param(b"ID3\x04" + bytes(50), "it is an MP3", id="mp3 with tags"),
    pytest.param(b"fLaC" + bytes(50), "found fLaC: it is FLAC", id="flac"),
    pytest.param(b"\x00\x9f\x80\x01" * 20, "Expected RIFF but found", id="other bytes"),
    pytest.param(wav(tone(440)[:0]), "holds no samples", id="no samples"),
    pytest.param(wav(tone(440), width=1), "expected 16 bits, received 8", id="8 bits"),
    pytest.param(extensible(sub_format=b"\x03\x00" + PCM[2:]), "its samples are floats", id="floats"),
    pytest.param(PLAIN.replace(b"fmt ", b"f\xfft "), "samples come before the chunk 'fmt '", id="damaged chunk id"),
    pytest.param(PLAIN.replace(b"data", b"\xff\xfe\xfd\xfc"), "has no chunk 'data'", id="damaged data id"),
    pytest.param(PLAIN[:22] + b"\x00\x00" + PLAIN[24:], "0 channels", id="no channels"),
]


@pytest.mark.parametrize(("file", "why"), REFUSED)
def test_what_is_no_wav_file_of_16_bits_is_told(file: bytes, why: str) -> None:
    with pytest.raises(BadInput) as raised:
        read_header(file)

    assert why in str(raised.value)
    assert str(raised.value).isprintable()
