"""Tar files: the bytes of tarfile's own, read member by member, and refused where they are anything else."""

import io
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaudio.errors import TokensError
from tokaudio.storage._npy import NpyError, PickleError, from_npy, to_npy
from tokaudio.storage._tar import TarWriter, read_tar

NAMES = st.text("abz09%_-./", min_size=1, max_size=90).filter(lambda name: not name.endswith("/"))


def packed(members):
    stream = io.BytesIO()
    tar = TarWriter(stream)
    for name, content in members:
        tar.add(name, content)
    tar.close()
    return stream.getvalue()


@given(st.lists(st.tuples(NAMES, st.binary(max_size=1500)), max_size=4))
def test_members_come_back_here_and_in_tarfile(tmp_path_factory, members):
    path = tmp_path_factory.mktemp("tar") / "a.tar"
    path.write_bytes(packed(members))
    assert list(read_tar(path)) == members
    with tarfile.open(path) as tar:
        assert [(m.name, tar.extractfile(m).read()) for m in tar.getmembers()] == members


@pytest.mark.parametrize(
    "content",
    [
        b"",
        packed([])[:512],
        packed([("a", b"b")])[:-512],
        packed([("a", b"b")]) + b"c",
        packed([("a", b"b")]) + bytes(100_000),
        packed([("a", b"b")]).replace(b"ustar", b"usual"),
        packed([("a", b"b")])[:512] + b"b" + b"c" * 511 + bytes(1024),
        b"x" * 2048,
    ],
)
def test_anything_else_is_refused(tmp_path, content):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(TokensError, match="damaged"):
        list(read_tar(tmp_path / "a.tar"))


def test_a_member_larger_than_the_file_is_refused(tmp_path):
    info = tarfile.TarInfo("a")
    info.size = 2**40
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(TokensError, match="no plain file of its size"):
        list(read_tar(tmp_path / "a.tar"))


def test_a_pipe_is_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "a.tar")
    with pytest.raises(TokensError, match="not a regular file"):
        list(read_tar(tmp_path / "a.tar"))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", ">i4", "int64", "float16", "float64"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (2, 3)])
def test_arrays_are_those_of_numpy(dtype, shape):
    array = np.arange(6)[: int(np.prod(shape))].reshape(shape).astype(dtype)
    content = to_npy(array)
    found, theirs = from_npy(content), np.load(io.BytesIO(content), allow_pickle=False)
    for one in (found, theirs):
        assert one.dtype == array.dtype.newbyteorder("<")
        np.testing.assert_array_equal(one, array)


def test_arrays_that_lie_are_refused():
    content = to_npy(np.zeros((2, 3), np.uint16))
    wrongs = (content[:-1], content + b"0", content.replace(b"(2, 3)", b"(9, 9)"), b"", b"\x93NUMPY\x02" + content[7:])
    for wrong in (*wrongs, to_npy(np.zeros(3, bool))[:-1] + b"\x02"):
        with pytest.raises(NpyError):
            from_npy(wrong)
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(PickleError):
        from_npy(pickled.getvalue())
