"""Megatron's files: against a reader written from the format's facts, and the bytes that datatrove's writer makes.

tests/parity/test_megatron.py has Megatron's own reader.
"""

import dataclasses
import json
import struct
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.storage.random_rows import datasets, example
from tokaudio.errors import TokensError
from tokaudio.layouts import load_layout, make_layout
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.storage.dataset_info import DatasetInfo
from tokaudio.storage.formats import shard_format
from tokaudio.storage.megatron import document, id_dtype
from tokaudio.storage.rows import TokenRow

FORMAT = shard_format("megatron")
LAYOUTS = ("flatten", "flatten-by-place", "coarse-first", "parallel", "delay", "runs")


def laid_out(name, info=None):
    info, rows = example() if info is None else (info, [])
    columns = {key: kind for key, kind in info.columns.items() if key == "text"}
    layout = make_layout(name, info.spec, fingerprint=info.fingerprint)
    info = dataclasses.replace(info, columns=columns, extras={}, depth=False, layout=layout)
    bare = [
        dataclasses.replace(row, depth=None, extras={}, columns={k: row.columns[k] for k in columns}) for row in rows
    ]
    return info, bare


def documents(folder):
    """Read documents one by one, as the format says: slow and obvious."""
    index, content = (folder / "tokens.idx").read_bytes(), (folder / "tokens.bin").read_bytes()
    assert index[:9] == b"MMIDIDX\0\0"
    version, kind, sequences, bounds = struct.unpack("<QBQQ", index[9:34])
    dtype = {4: np.int32, 8: np.uint16}[kind]
    sizes = struct.unpack(f"<{sequences}i", index[34 : 34 + 4 * sequences])
    starts = struct.unpack(f"<{sequences}q", index[34 + 4 * sequences : 34 + 12 * sequences])
    ends = struct.unpack(f"<{bounds}q", index[34 + 12 * sequences :])
    assert (version, ends) == (1, tuple(range(sequences + 1)))
    width = np.dtype(dtype).itemsize
    return [np.frombuffer(content[a : a + n * width], dtype) for a, n in zip(starts, sizes, strict=True)]


@pytest.mark.parametrize("name", LAYOUTS)
def test_documents_are_the_ids_of_the_layout(tmp_path, name):
    info, rows = laid_out(name)
    FORMAT.write_shard(tmp_path / "a", rows, info)
    found = documents(tmp_path / "a")
    for ids, row in zip(found, rows, strict=True):
        wanted = np.asarray(info.layout.encode_codes(row.codes.astype(np.int64)))
        if wanted.ndim == 1:
            np.testing.assert_array_equal(ids, [*wanted, info.layout.vocabulary.special("eos")])
        else:
            np.testing.assert_array_equal(ids.reshape(-1, len(wanted)).T, wanted)
    assert list(FORMAT.read_shard(tmp_path / "a")) == rows


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.sampled_from(LAYOUTS))
def test_rows_come_back(tmp_path_factory, data, name):
    info, rows = data.draw(datasets(depth=False, extras={}))
    info = dataclasses.replace(info, layout=make_layout(name, info.spec, fingerprint=info.fingerprint))
    folder = tmp_path_factory.mktemp("megatron")
    FORMAT.write_shard(folder / "a", rows, info)
    FORMAT.write_shard(folder / "b", rows, info)
    assert list(FORMAT.read_shard(folder / "a")) == rows
    for file in (folder / "a").iterdir():
        assert file.read_bytes() == (folder / "b" / file.name).read_bytes()


@pytest.mark.parametrize("name", ["flatten", "delay"])
def test_bytes_are_those_of_datatrove(tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from datatrove.pipeline.tokens.megatron_tokenizer import MegatronTokenizedFile

    info, rows = laid_out(name)
    FORMAT.write_shard(tmp_path / "a", rows, info)
    (tmp_path / "b").mkdir()
    theirs = MegatronTokenizedFile(str(tmp_path / "b"), "tokens", token_size=id_dtype(info.layout).itemsize)
    for row in rows:
        theirs.write(document(row.codes.astype(np.int64), info.layout).tolist())
    theirs.close()
    for file in ("tokens.bin", "tokens.idx"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize(
    ("size", "books", "kind"), [(16_383, 4, "uint16"), (16_384, 4, "int32"), (2048, 31, "uint16"), (70_000, 1, "int32")]
)
def test_two_bytes_hold_ids_below_65536(tmp_path, size, books, kind):
    spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(size),) * books)
    info, _ = laid_out("flatten", DatasetInfo(spec))
    assert id_dtype(info.layout) == np.dtype(kind)
    row = TokenRow("a", np.full((books, 2), size - 1, info.code_dtype), 640, 16_000)
    FORMAT.write_shard(tmp_path / "a", [row], info)
    assert list(FORMAT.read_shard(tmp_path / "a")) == [row]
    assert documents(tmp_path / "a")[0][-2] == info.layout.vocabulary.size - 1


def test_the_layout_lies_beside_the_ids(tmp_path):
    info, rows = laid_out("flatten")
    FORMAT.write_shard(tmp_path / "a", rows, info)
    layout = load_layout(tmp_path / "a")
    ids = documents(tmp_path / "a")[0][:-1].astype(np.int64)
    np.testing.assert_array_equal(layout.decode_ids(ids), rows[0].codes)
    document = json.loads((tmp_path / "a" / "tokaudio.json").read_text())
    assert document["vocabulary"]["specials"]["eos"] == 1


def test_what_ids_cannot_hold_is_refused(tmp_path):
    info, rows = laid_out("flatten")
    for change, message in (({"layout": None}, "has no layout"), ({"depth": True}, "no depth and no extras")):
        with pytest.raises(TokensError, match=message):
            FORMAT.write_shard(tmp_path / message, rows, dataclasses.replace(info, **change))
    split = make_layout("split", TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 2))
    with pytest.raises(TokensError, match="does not give one row"):
        document(np.zeros((2, 3), np.int64), split)


@pytest.mark.parametrize("file", ["tokens.bin", "tokens.idx", "rows.jsonl", "tokaudio.json"])
def test_damage_is_refused_or_changes_nothing(tmp_path, file):
    info, rows = laid_out("flatten")
    FORMAT.write_shard(tmp_path / "a", rows, info)
    target = tmp_path / "a" / file
    content = target.read_bytes()
    random = np.random.default_rng(3)
    for length in random.integers(0, len(content), 10):
        target.write_bytes(content[:length])
        with pytest.raises(TokensError):
            list(FORMAT.read_shard(tmp_path / "a"))
    refused = 0
    for place, bit in zip(random.integers(0, len(content), 40), random.integers(0, 8, 40), strict=True):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(bit)
        target.write_bytes(flipped)
        try:
            assert list(FORMAT.read_shard(tmp_path / "a")) == rows
        except TokensError as error:
            assert str(error).isprintable()
            refused += 1
    assert refused >= {"tokens.bin": 40, "tokens.idx": 40, "rows.jsonl": 35, "tokaudio.json": 5}[file]
