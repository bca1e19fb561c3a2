"""WebDataset shards as the real `webdataset` and plain `tarfile` see them."""

import io
import json
import tarfile
import warnings

import numpy as np
import pytest

from tests.storage.random_rows import example
from tokaudio.errors import TokensError
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.storage._facts import member_name
from tokaudio.storage.dataset_info import DatasetInfo, ExtraInfo
from tokaudio.storage.formats import shard_format
from tokaudio.storage.rows import TokenRow

FORMAT = shard_format("webdataset")


@pytest.fixture
def shard(tmp_path):
    info, rows = example()
    FORMAT.write_shard(tmp_path / "a.tar", rows, info)
    return tmp_path / "a.tar", rows


def test_webdataset_reads_it(shard):
    path, rows = shard
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import webdataset

        found = list(webdataset.WebDataset(str(path), shardshuffle=False).decode())
    assert [one["__key__"] for one in found] == [member_name(row.key) for row in rows]
    for one, row in zip(found, rows, strict=True):
        np.testing.assert_array_equal(one["codes.npy"], row.codes)
        np.testing.assert_array_equal(one["extra_frame_pitch.npy"], row.extras["frame_pitch"])
        assert one["codes.npy"].dtype == np.uint16
        assert (one["json"]["key"], one["json"]["text"]) == (row.key, row.columns["text"])


def test_tar_and_numpy_read_it(shard):
    path, rows = shard
    with tarfile.open(path) as tar:
        members = tar.getmembers()
        content = {member.name: tar.extractfile(member).read() for member in members}
    assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in members} == {(0, 0, 0, "", 0o644)}
    codes = np.load(io.BytesIO(content["a%2Fb%2Ec.codes.npy"]), allow_pickle=False)
    np.testing.assert_array_equal(codes, rows[0].codes)
    assert json.loads(content["__tokaudio__/tokaudio.json"])["format"] == "tokaudio-dataset"


def repacked(path, change):
    with tarfile.open(path) as tar:
        members = [(member.name, tar.extractfile(member).read()) for member in tar.getmembers()]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in change(members):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_an_archive_packed_again_is_read(shard):
    repacked(shard[0], lambda members: members)
    assert len(list(FORMAT.read_shard(shard[0]))) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda members: members[1:], "no description"),
        (lambda members: [*members[:-2], members[-1]], "members of"),
        (lambda members: members[:-1], "how many rows it has"),
        (lambda members: [*members[:-6], members[-1]], "how many rows it has"),
        (lambda members: [*members, members[-1]], "how many rows it has"),
        (lambda members: [members[0], *members[2:]], "members of"),
        (lambda members: [*members[:-1], *members[1:6], members[-1]], "two rows have the key"),
        (lambda members: [(n.replace("%2Ec", "%2Ed"), c) for n, c in members], "name of another"),
        (lambda members: [(n, c.replace(b'"speaker":0', b'"speaker":7')) for n, c in members], "checksum"),
        (lambda members: [(n, b"[]" if n.endswith(".json") and "_" not in n else c) for n, c in members], "no object"),
    ],
)
def test_members_that_were_changed_are_refused(shard, change, message):
    repacked(shard[0], change)
    with pytest.raises(TokensError, match=message):
        list(FORMAT.read_shard(shard[0]))


def test_rows_that_became_zeros_are_missed(shard):
    # Zeros are also how an archive ends.
    content = shard[0].read_bytes()
    for start in range(512, len(content) - 1024, 512):
        shard[0].write_bytes(content[:start].ljust(len(content), b"\0"))
        with pytest.raises(TokensError):
            list(FORMAT.read_shard(shard[0]))


def test_links_folders_and_pickles_are_refused(shard, tmp_path):
    for kind in (tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE):
        info = tarfile.TarInfo("__tokaudio__/tokaudio.json")
        info.type, info.linkname = kind, "/etc/passwd" if "LNK" in str(kind) or kind in b"12" else ""
        with tarfile.open(tmp_path / "b.tar", "w") as tar:
            tar.addfile(info)
        with pytest.raises(TokensError, match="no plain file"):
            list(FORMAT.read_shard(tmp_path / "b.tar"))
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}], dtype=object), allow_pickle=True)
    repacked(shard[0], lambda members: [(n, pickled.getvalue() if "codes" in n else c) for n, c in members])
    with pytest.raises(TokensError, match="pickles are never opened"):
        list(FORMAT.read_shard(shard[0]))


def test_names_of_members():
    assert member_name("a.b/c") == "a%2Eb%2Fc"
    keys = [prefix * 300 + end for prefix in "aé~" for end in ("", "x", "y")]
    names = [member_name(key) for key in keys]
    assert len(set(names)) == len(keys)
    assert all(name.isascii() and len(name) <= 80 and not set("./\\") & set(name) for name in names)


def rows_with(extra, keys):
    """Return rows with side information of a name, and their dataset."""
    codes, value = np.ones((1, 3), np.uint16), np.zeros((), np.float32)
    spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
    rows = [TokenRow(key, codes, 960, 16_000, extras={extra: value}) for key in keys]
    return rows, DatasetInfo(spec, extras={extra: ExtraInfo("float32", ())})


@pytest.mark.parametrize("letters", [1, 11, 30, 48])
def test_names_leave_room_for_the_longest_ending(tmp_path, letters):
    keys = ["a", "a" * 75, "a" * 80, "a" * 81, "\x80" * 26, "%" * 40]
    rows, info = rows_with("e" * letters, keys)
    FORMAT.write_shard(tmp_path / "a.tar", rows, info)
    assert list(FORMAT.read_shard(tmp_path / "a.tar")) == rows
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert max(map(len, tar.getnames())) <= 100 and len(set(tar.getnames())) == 2 + 3 * len(keys)


def test_an_extra_whose_name_leaves_no_room_is_refused(tmp_path):
    with pytest.raises(TokensError, match="too long a name for WebDataset; shorten it"):
        FORMAT.write_shard(tmp_path / "a.tar", *rows_with("e" * 49, ["a"]))
