"""How large an image is, by its header: so that a small file cannot take all memory when it is decoded."""

import struct

MOST_PIXELS = 50_000_000
"""More than most cameras take. Decoded and resized, an image of so many takes about 0.8 GB for a while."""


def size_of(content: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG, JPEG, GIF or BMP file, or nothing where the header does not tell."""
    try:
        if content.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack_from(">II", content, 16)
        elif content.startswith(b"GIF8"):
            width, height = struct.unpack_from("<HH", content, 6)
        elif content.startswith(b"BM"):
            width, height = struct.unpack_from("<ii", content, 18)
        elif content.startswith(b"\xff\xd8"):
            return _jpeg(content)
        else:
            return None
    except struct.error:
        return None
    return abs(width), abs(height)


def _jpeg(content: bytes) -> tuple[int, int] | None:
    """Return the size in the frame header: the first marker SOF."""
    at = 2
    while at + 9 < len(content):
        if content[at] != 0xFF:
            return None
        marker = content[at + 1]
        if marker == 0xFF:  # fill bytes
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        elif marker in (0x01, *range(0xD0, 0xD9)):
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", content, at + 2)[0]
    return None


def why_too_large(content: bytes) -> str | None:
    """Return why an image is not decoded, or nothing where it may be."""
    size = size_of(content)
    if size is None or size[0] * size[1] <= MOST_PIXELS:
        return None
    return f"has {size[0]:,} x {size[1]:,} pixels, more than the {MOST_PIXELS:,} that are read: make it smaller"
