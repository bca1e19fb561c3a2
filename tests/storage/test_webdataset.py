"""WebDataset's members have names of at most 100 characters, whatever keys and extras are called."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from tokaudio.errors import TokensError
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.storage.dataset_info import DatasetInfo, ExtraInfo
from tokaudio.storage.formats import shard_format
from tokaudio.storage.rows import TokenRow

SPEC = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
FORM = shard_format("webdataset")


def rows_with(extra: str, keys: list[str]) -> tuple[list[TokenRow], DatasetInfo]:
    codes, value = np.ones((1, 3), np.uint16), np.zeros((), np.float32)
    rows = [TokenRow(key, codes, 960, 16_000, extras={extra: value}) for key in keys]
    return rows, DatasetInfo(SPEC, extras={extra: ExtraInfo("float32", ())})


@pytest.mark.parametrize("letters", [1, 11, 30, 48])
def test_names_leave_room_for_the_longest_ending(tmp_path: Path, letters: int) -> None:
    keys = ["a", "a" * 75, "a" * 80, "a" * 81, "\x80" * 26, "%" * 40]
    rows, info = rows_with("e" * letters, keys)
    FORM.write_shard(tmp_path / "a.tar", rows, info)
    assert list(FORM.read_shard(tmp_path / "a.tar")) == rows
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert max(map(len, tar.getnames())) <= 100 and len(set(tar.getnames())) == 1 + 3 * len(keys)


def test_an_extra_whose_name_leaves_no_room_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match="too long a name for WebDataset; shorten it"):
        FORM.write_shard(tmp_path / "a.tar", *rows_with("e" * 49, ["a"]))
