"""The bitstream: blocks, what its bytes are spent on, and files that lie about what they hold."""

import dataclasses
import struct
import zlib

import numpy as np
import pytest

from tests.storage.random_rows import example
from tokaudio.errors import TokensError
from tokaudio.storage import bitstream
from tokaudio.storage.bitstream import sizes
from tokaudio.storage.formats import shard_format
from tokaudio.storage.rows import TokenRow

FORMAT = shard_format("bitstream")


def bare(**changes):
    return dataclasses.replace(example()[0], columns={}, extras={}, depth=False, **changes)


def sections(content):
    """Cut a file into its sections, as (kind, content), as the format says."""
    place, found = 4, []
    while place < len(content):
        kind, size = struct.unpack("<cQ", content[place : place + 9])
        found.append((kind, content[place + 9 : place + 9 + size]))
        assert zlib.crc32(content[place : place + 9 + size]) == int.from_bytes(
            content[place + 9 + size : place + 13 + size], "little"
        )
        place += 13 + size
    return found


def joined(found):
    parts = [struct.pack("<cQ", kind, len(content)) + content for kind, content in found]
    return b"TKA\x01" + b"".join(part + struct.pack("<I", zlib.crc32(part)) for part in parts)


def test_blocks_end_by_codes(tmp_path, monkeypatch):
    info, rows = example()
    monkeypatch.setattr(bitstream, "BLOCK_CODES", 33 * 3 * 4)
    many = [dataclasses.replace(rows[2], key=str(number)) for number in range(10)]
    FORMAT.write_shard(tmp_path / "a", many, info)
    kinds = b"".join(kind for kind, _ in sections((tmp_path / "a").read_bytes()))
    assert kinds == b"IBBBE"
    assert [row.key for row in FORMAT.read_shard(tmp_path / "a")] == [row.key for row in many]


def test_what_its_bytes_are_spent_on(tmp_path):
    info = bare()
    random = np.random.default_rng(0)
    slow = np.repeat(random.integers(0, 64, 20_000), 2)
    acoustic = np.minimum(random.geometric(0.01, (2, 40_000)), 1024) - 1
    row = TokenRow("a", np.vstack([slow, acoustic]).astype(np.uint16), 1, 16_000)
    FORMAT.write_shard(tmp_path / "a", [row], info)
    found = sizes(tmp_path / "a")
    assert found.codes == 20_000 + 80_000
    assert found.entropy_bits <= 8 * found.code_bytes < found.entropy_bits * 1.005
    assert found.table_bytes < 2 * (64 + 2 * 1024)
    assert found.fact_bytes + found.table_bytes + found.code_bytes < found.total_bytes < row.codes.nbytes / 2
    assert list(FORMAT.read_shard(tmp_path / "a")) == [row]


def test_codes_that_never_change_cost_nothing(tmp_path):
    row = TokenRow("a", np.ones((3, 100_000), np.uint16), 1, 16_000)
    FORMAT.write_shard(tmp_path / "a", [row], bare())
    assert sizes(tmp_path / "a").code_bytes < 2100
    assert list(FORMAT.read_shard(tmp_path / "a")) == [row]


def test_a_row_that_is_too_long_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bitstream, "MAX_COUNT", 99)
    row = TokenRow("a", np.ones((3, 100), np.uint16), 1, 16_000)
    with pytest.raises(TokensError, match="100 frames; cut it"):
        FORMAT.write_shard(tmp_path / "a", [row], bare())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found[1:], "a section is none"),
        (lambda found: found[:-1], "cut off"),
        (lambda found: [*found, found[-1]], "more after its end"),
        (lambda found: [found[0], found[0], *found[1:]], "a section is none"),
        (lambda found: [found[0], found[-1]], "number of rows"),
        (lambda found: [found[0], found[1], found[1], found[2]], "two rows have the key"),
        (lambda found: [found[0], (b"B", b""), found[2]], "part of a block"),
        (lambda found: [found[0], (b"B", found[1][1] + b"x"), found[2]], "more parts"),
        (lambda found: edited(found, 0, b'"num_frames":50', b'"num_frames":51'), "one depth per frame"),
        (lambda found: edited(found, 0, b'"num_frames":50', b'"num_frames":-1'), "no length"),
        (lambda found: edited(found, 0, b'"num_frames":50', b'"num_frames":16777216'), "frame|missing"),
        (lambda found: edited(found, 0, b'"num_frames":50', b'"num_frames":1e2'), "no length"),
        (lambda found: edited(found, 1, None, b"\xff" * 20), "cut off or too large"),
        (lambda found: edited(found, 1, None, b"\x05\x00\x01"), "numbers are missing"),
        (lambda found: edited(found, 1, None, b""), "numbers are missing"),
        (lambda found: edited(found, 1, None, b"\x03\x00\x00\x01" * 4), "a table is none"),
        (lambda found: edited(found, 1, None, b"\x05\x00\x02\x00\x02\x01" * 4), "a table is none"),
        (lambda found: edited(found, 1, None, b"\x02\x00\x02" * 4), "a table is none"),
        (lambda found: edited(found, 1, None, b"\x01\xff\xff\xff\x7f" * 4), "too many symbols"),
        (lambda found: edited(found, 1, None, b"\x01\x01" * 5), "more numbers"),
        (lambda found: edited(found, 1, None, b"\x01\x01" * 4), "one depth per frame"),
        (lambda found: edited(found, 2, None, b"1234" * 4), "coded symbols"),
        (lambda found: edited(found, 3, None, b"12"), "side information"),
    ],
)
def test_files_that_lie_are_refused(tmp_path, change, message):
    info, rows = example()
    FORMAT.write_shard(tmp_path / "a", rows, info)
    (tmp_path / "a").write_bytes(joined(change(sections((tmp_path / "a").read_bytes()))))
    with pytest.raises(TokensError, match=message):
        list(FORMAT.read_shard(tmp_path / "a"))


def edited(found, number, old, new):
    """Change a part of the first block, all checksums being right."""
    parts, place, content = [], 0, found[1][1]
    while place < len(content):
        size = int.from_bytes(content[place : place + 8], "little")
        parts.append(content[place + 8 : place + 8 + size])
        place += 8 + size
    parts[number] = new if old is None else parts[number].replace(old, new)
    block = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    return [found[0], (b"B", block), *found[2:]]
