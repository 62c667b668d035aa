"""What a file is by its first bytes, whatever its name says."""

import re

SNIFFED_BYTES = 4096

_BY_START: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive (also .xlsx, .docx or .npz)", "unpack it, or save the sheet as CSV"),
    (b"PK\x05\x06", "an empty ZIP archive", "put the data file itself there"),
    (b"\x1f\x8b", "compressed by gzip", "let its name end with .gz (data.csv.gz), or unpack it with gunzip"),
    (b"BZh", "compressed by bzip2", "let its name end with .bz2, or unpack it with bunzip2"),
    (b"\xfd7zXZ", "compressed by xz", "unpack it with unxz"),
    (b"\x28\xb5\x2f\xfd", "compressed by Zstandard", "let its name end with .zst, or unpack it with unzstd"),
    (b"\x04\x22\x4d\x18", "compressed by LZ4", "let its name end with .lz4, or unpack it with unlz4"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it"),
    (b"Rar!", "a RAR archive", "unpack it"),
    (b"PAR1", "a Parquet file", "set data.format to parquet, or let its name end with .parquet"),
    (b"ARROW1", "an Arrow or Feather file", "write it as Parquet"),
    (b"FEA1", "a Feather file", "write it as Parquet"),
    (b"ORC", "an ORC file", "write it as Parquet"),
    (b"Obj\x01", "an Avro file", "write it as Parquet"),
    (b"\x93NUMPY", "one array of numpy (.npy)", "write it with numpy.savez, with an array for the label"),
    (b"\x89HDF\r\n", "an HDF5 file", "write it as Parquet"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file", "save the sheet as CSV"),
    (b"%PDF", "a PDF", "export the table as CSV"),
    (b"\x89PNG", "a PNG image", "use format directory for images"),
    (b"\xff\xd8\xff", "a JPEG image", "use format directory for images"),
    (b"GIF8", "a GIF image", "use format directory for images"),
    (b"RIFF", "a RIFF file, such as WAV", "use format directory for sounds"),
    (b"ID3", "an MP3", "convert it to WAV, and use format directory for sounds"),
    (b"OggS", "an Ogg file", "convert it to WAV, and use format directory for sounds"),
    (b"fLaC", "a FLAC file", "convert it to WAV, and use format directory for sounds"),
    (b"\x7fELF", "a program", "name the data"),
    (b"\x80\x04\x95", "a Python pickle", "write it as Parquet"),
    (b"\x80\x05\x95", "a Python pickle", "write it as Parquet"),
)
_BY_PATTERN: tuple[tuple[bytes, str, str], ...] = (
    (
        rb"\s*<(!doctype html|html|head|body|table)\b",
        "a web page",
        "download the file itself: its address may need a login",
    ),
    (rb"\s*<\?xml", "an XML file", "write it as CSV or Parquet"),
    (
        rb"\s*(\[\s*)?\{\s*(\"[^\"\r\n]*\"\s*:|\})",
        "JSON",
        "write it as CSV or Parquet",
    ),
    (rb"\s*\[\s*\[", "JSON", "write it as CSV or Parquet"),
    (
        rb"(\s*%[^\n]*\n)*\s*@relation\b",
        "an ARFF file of Weka",
        "remove the lines up to @data, and name the columns in data.csv.names",
    ),
    (rb"[-+]?[0-9.]+( [0-9]+:\S+){2}", "LIBSVM's sparse format", "write it as CSV or Parquet"),
    (rb"version https://git-lfs", "a pointer of Git LFS, not the file itself", "fetch it with git lfs pull"),
)


def foreign_format(start: bytes) -> tuple[str, str] | None:
    """Return what a file is that begins so, and what to do with it, or nothing where it may be a table of text."""
    bare = start.removeprefix(b"\xef\xbb\xbf")
    for signature, what, remedy in _BY_START:
        if start.startswith(signature):
            return what, remedy
    for pattern, what, remedy in _BY_PATTERN:
        if re.match(pattern, bare, re.IGNORECASE):
            return what, remedy
    return None
