"""Lhotse shards as the real `lhotse` sees them."""

import json
import warnings

import numpy as np
import pytest

from tests.storage.random_rows import example
from tokaudio.errors import TokensError
from tokaudio.storage._facts import member_name
from tokaudio.storage.formats import shard_format

FORMAT = shard_format("lhotse")


@pytest.fixture
def shard(tmp_path):
    info, rows = example()
    FORMAT.write_shard(tmp_path / "a.lhotse", rows, info)
    return tmp_path / "a.lhotse", rows


def test_lhotse_reads_it(shard):
    path, rows = shard
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lhotse import CutSet

        cuts = list(CutSet.from_shar(in_dir=path))
        found = [cut.load_codes() for cut in cuts]
        pitch = cuts[0].load_extra_frame_pitch()
        voice = cuts[0].load_extra_item_speaker()
        part = cuts[0].truncate(offset=0.2, duration=0.4).load_codes()
        again = CutSet.from_shar(fields={"cuts": [path / "cuts.000000.jsonl"]})
        text = [cut.supervisions[0].text for cut in again]
    assert [cut.id for cut in cuts] == [member_name(row.key) for row in rows]
    assert [cut.duration for cut in cuts] == [row.duration for row in rows]
    for codes, row in zip(found, rows, strict=True):
        np.testing.assert_array_equal(codes, row.codes.T)
    np.testing.assert_array_equal(part, rows[0].codes[:, 10:30].T)
    np.testing.assert_array_equal(pitch, rows[0].extras["frame_pitch"])
    np.testing.assert_array_equal(voice, rows[0].extras["item_speaker"])
    assert cuts[0].codes.frame_shift == 0.02
    assert (cuts[0].custom["key"], cuts[0].custom["speaker"], text[0]) == ("a/b.c", 0, "grüße, 世界")


def test_cuts_and_arrays_belong_together(shard):
    path, _ = shard
    cuts = path / "cuts.000000.jsonl"
    lines = cuts.read_bytes().splitlines(keepends=True)
    for changed in ([lines[1], lines[0], lines[2]], lines[:2], [*lines, lines[0]], [b"{}\n"]):
        cuts.write_bytes(b"".join(changed))
        with pytest.raises(TokensError, match="damaged"):
            list(FORMAT.read_shard(path))
    cuts.write_bytes(b"".join(lines))
    assert len(list(FORMAT.read_shard(path))) == 3


def test_a_cut_without_words_has_no_supervision(tmp_path):
    info, rows = example()
    quiet = [type(rows[0])("a", rows[0].codes, 9, 16_000, depth=rows[0].depth, extras=rows[0].extras)]
    FORMAT.write_shard(tmp_path / "a", quiet, info)
    cut = json.loads((tmp_path / "a" / "cuts.000000.jsonl").read_text())
    assert cut["supervisions"] == []
    assert cut["custom"]["text"] is None
