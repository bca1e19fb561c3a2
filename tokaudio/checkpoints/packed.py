"""Files that are compressed as a whole, opened in bounded memory."""

from __future__ import annotations

import os
import zlib

from tokaudio.errors import CheckpointError, one_line

# Ten thousand centroids of 1,280 dimensions in float64, and the labels of forty million frames, are less.
LARGEST = 1 << 28
_STEP = 1 << 20
_EITHER_HEADER = 47
# joblib's default and compress=3 are zlib; gzip is the same behind another header.
_READ = (b"\x78", b"\x1f\x8b")
_OTHERS = {
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ\x00": ("xz", "unxz"),
    b"]\x00\x00": ("lzma", "unlzma"),
    b"\x04\x22\x4d\x18": ("lz4", "lz4 -d"),
}


def unpacked(content: memoryview, where: str | os.PathLike[str], *, limit: int = LARGEST) -> memoryview:
    """Return the bytes of a file, decompressed if they are of zlib or gzip; else as they are.

    Args:
        content: the file.
        where: its path, for messages.
        limit: most bytes that it may become.

    Raises:
        CheckpointError: if it is damaged or cut off, becomes larger than `limit`, or is of another compression.

    Example:
        >>> bytes(unpacked(memoryview(zlib.compress(b"abc")), "a.z")), bytes(unpacked(memoryview(b"abc"), "a"))
        (b'abc', b'abc')
    """
    for mark, (name, command) in _OTHERS.items():
        if bytes(content[: len(mark)]) == mark:
            problem = f"is compressed with {name}, which is not read here"
            raise CheckpointError(one_line(where, problem, f"decompress it first ({command})"))
    if not bytes(content[:2]).startswith(_READ):
        return content
    found, machine = bytearray(), zlib.decompressobj(_EITHER_HEADER)
    for at in range(0, len(content), _STEP):
        given: bytes | memoryview = content[at : at + _STEP]
        while len(given) and not machine.eof:
            try:
                found += machine.decompress(given, _STEP)
            except zlib.error as error:
                raise CheckpointError(one_line(where, f"is damaged ({error})", "download it again")) from error
            given = machine.unconsumed_tail
            if len(found) > limit:
                problem = f"becomes larger than {limit:,} bytes when it is decompressed"
                raise CheckpointError(one_line(where, problem, "do not use it"))
    if not machine.eof:
        raise CheckpointError(one_line(where, "is cut off", "copy or download it again"))
    return memoryview(found)


def first_bytes(start: bytes, count: int) -> bytes:
    r"""Return the first bytes of a file, decompressed, from the first that it holds; empty if they make no sense.

    Example:
        >>> first_bytes(zlib.compress(b"abcdef")[:9], 3), first_bytes(b"abcdef", 3), first_bytes(b"\x78\x9c?", 3)
        (b'abc', b'abc', b'')
    """
    if not start.startswith(_READ):
        return start[:count]
    try:
        return zlib.decompressobj(_EITHER_HEADER).decompress(start, count)
    except zlib.error:
        return b""
