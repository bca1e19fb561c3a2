"""K-means of scikit-learn: files as joblib and pickle write them, old names, and files that mean harm."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans, MiniBatchKMeans

from tests.checkpoints import pickles
from tokaudio.checkpoints import read_checkpoint
from tokaudio.checkpoints.packed import unpacked
from tokaudio.checkpoints.plain_pickle import _ACTIONS
from tokaudio.checkpoints.reading import is_pickled_kmeans
from tokaudio.checkpoints.sklearn_kmeans import read_kmeans
from tokaudio.errors import CheckpointError
from tokaudio.quantizers import KMeansQuantizer


def rows(count: int = 200, dim: int = 6, dtype: str = "f4") -> Any:
    return np.random.default_rng(0).normal(size=(count, dim)).astype(dtype)


def fitted(kind: str) -> Any:
    if kind == "KMeans":
        return KMeans(5, n_init=1, random_state=0).fit(rows())
    if kind == "float64":
        return KMeans(5, n_init=1, random_state=0).fit(rows(dtype="f8"))
    if kind == "MiniBatchKMeans":
        return MiniBatchKMeans(5, n_init=1, random_state=np.random.RandomState(1)).fit(rows())
    model = MiniBatchKMeans(5, n_init=1, random_state=0).partial_fit(rows()).partial_fit(rows() + 1)
    if kind == "columns first":
        model.cluster_centers_ = np.asfortranarray(model.cluster_centers_)
    return model


KINDS = ("KMeans", "float64", "MiniBatchKMeans", "in batches", "columns first")


@pytest.mark.parametrize("kind", KINDS)
def test_what_joblib_and_pickle_write_comes_back(tmp_path: Path, kind: str) -> None:
    model = fitted(kind)
    wanted = torch.from_numpy(model.cluster_centers_.astype("f4"))
    path = tmp_path / "km.bin"
    for protocol in (2, 3, 4, 5):
        for compress in (0, 3, ("gzip", 9)):
            joblib.dump(model, path, compress=compress, protocol=protocol)
            found = read_kmeans(path)
            assert found.dtype == torch.float32 and found.is_contiguous() and torch.equal(found, wanted)
            assert is_pickled_kmeans(path)
        path.write_bytes(pickle.dumps(model, protocol))
        assert torch.equal(read_kmeans(path), wanted) and is_pickled_kmeans(path)


# scikit-learn before 0.22 and 0.23, numpy before 2.0 and 1.17; the names of a file do not change what follows them.
OLD_NAMES = (
    (b"sklearn.cluster._kmeans", b"sklearn.cluster.k_means_"),
    (b"cjoblib.numpy_pickle", b"csklearn.externals.joblib.numpy_pickle"),
    (b"numpy._core", b"numpy.core"),
    (b"numpy.random._pickle\n__randomstate_ctor", b"numpy.random\n__RandomState_ctor"),
)


@pytest.mark.parametrize("aligned", [True, False])
def test_names_of_older_versions(tmp_path: Path, aligned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not aligned:
        # joblib before 1.2 did not know the field.
        monkeypatch.setattr(joblib.numpy_pickle.NumpyArrayWrapper.__init__, "__defaults__", (False, None))
    model = fitted("in batches")
    path = tmp_path / "km.bin"
    for write in (lambda: joblib.dump(model, path, protocol=3), lambda: path.write_bytes(pickle.dumps(model, 3))):
        write()
        content = path.read_bytes()
        assert b"\xff" * 4 in content or not aligned or b"joblib" not in content
        changed = content
        for new, old in OLD_NAMES:
            changed = changed.replace(new, old)
        assert changed.count(b"k_means_") == 1 and b"numpy._core" not in changed
        path.write_bytes(changed)
        assert torch.equal(read_kmeans(path), torch.from_numpy(model.cluster_centers_))


def test_codes_are_those_of_predict(tmp_path: Path) -> None:
    model = MiniBatchKMeans(40, n_init=1, random_state=0).fit(rows(2000, 24))
    (path,) = joblib.dump(model, tmp_path / "km_L7.pt")
    centroids = read_kmeans(path)
    queries = np.random.default_rng(1).normal(size=(20_000, 24)).astype("f4")
    # Half of them close to the border between two centroids.
    one, other = (model.cluster_centers_[np.random.default_rng(n).integers(0, 40, 10_000)] for n in (2, 3))
    queries[:10_000] = (one + other) / 2 + 1e-6 * queries[:10_000]
    quantizer = KMeansQuantizer(24, 40)
    quantizer.books[0].table.copy_(centroids)
    found = quantizer.encode(torch.from_numpy(queries).T[None])[0, 0].numpy()
    wanted = model.predict(queries)
    assert len(np.unique(wanted)) == 40
    # Codes may differ only where two centroids are equally near to seven digits.
    for at in np.flatnonzero(found != wanted):
        near, next_ = np.sort(((queries[at].astype("f8") - centroids.numpy().astype("f8")) ** 2).sum(1))[:2]
        assert (next_ - near) / next_ < 1e-4
    assert (found[10_000:] == wanted[10_000:]).all()


def test_exact_ties_go_to_the_lowest_index_as_in_predict(tmp_path: Path) -> None:
    # Whole numbers: both compute without rounding.
    centres = np.array([[2, 0], [0, 2], [-2, 0], [0, -2], [2, 0]], dtype="f4")
    model = KMeans(5, n_init=1, random_state=0).fit(rows(dim=2))
    model.cluster_centers_ = centres
    (path,) = joblib.dump(model, tmp_path / "km.bin")
    queries = np.array([[x, y] for x in range(-3, 4) for y in range(-3, 4)], dtype="f4")
    quantizer = KMeansQuantizer(2, 5)
    quantizer.books[0].table.copy_(read_kmeans(path))
    found = quantizer.encode(torch.from_numpy(queries).T[None])[0, 0]
    assert found.tolist() == model.predict(queries).tolist()
    assert found[24] == 0 and 4 not in found, "the middle, and the twin of centroid 0"


def test_a_file_cut_off_anywhere_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "km.bin"
    for compress in (0, 3):
        joblib.dump(fitted("MiniBatchKMeans"), path, compress=compress)
        whole = path.read_bytes()
        for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
            path.write_bytes(whole[: int(len(whole) * share)])
            with pytest.raises(CheckpointError, match=r"km.bin: is (damaged or )?cut off") as caught:
                read_kmeans(path)
            assert "\n" not in str(caught.value)


def written(model: Any, protocol: int | None = None) -> bytes:
    stream = io.BytesIO()
    joblib.dump(model, stream, protocol=protocol)
    return stream.getvalue()


CONTENTS = {
    "pickle 2": pickle.dumps(fitted("KMeans"), 2),
    "pickle 4": pickle.dumps(fitted("KMeans"), 4),
    "pickle 5": pickle.dumps(fitted("KMeans"), 5),
    "joblib": written(fitted("KMeans")),
    "zlib": zlib.compress(pickle.dumps(fitted("KMeans"), 4)),
}
# Every instruction that is known, with what makes most of them go on.
PIECES = [bytes([code]) for code in sorted(_ACTIONS)]
PIECES += [
    b"\x80\x04",
    b"K\x01",
    b"M\x01\x00",
    b"X\x01\x00\x00\x00a",
    b"C\x01a",
    b"q\x01",
    b"h\x01",
    b"cnumpy\ndtype\n",
]
PIECES += [pickles.name(*pickles.KMEANS), pickles.wrapper(b")"), pickles.text("cluster_centers_")]


def ends_well(path: Path, content: bytes) -> None:
    """Read bytes, which may fail in one line, and in no other way."""
    path.write_bytes(content)
    try:
        found = read_kmeans(path)
    except CheckpointError as error:
        assert str(error).startswith(f"{path}: ") and "; " in str(error) and "\n" not in str(error)
    else:
        assert found.ndim == 2 and bool(torch.isfinite(found).all())


@settings(max_examples=60, deadline=None)
@given(data=st.data(), kind=st.sampled_from(sorted(CONTENTS)))
def test_changed_bytes_never_do_more_than_fail(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: str
) -> None:
    content = bytearray(CONTENTS[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(2, len(content) - 1))] = data.draw(st.integers(0, 255))
    ends_well(tmp_path_factory.getbasetemp() / "changed.bin", bytes(content))


@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=30))
def test_instructions_in_any_order_never_do_more_than_fail(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    content = pickles.kmeans()[:-1] + b"".join(pieces) + b"."
    ends_well(tmp_path_factory.getbasetemp() / "mixed.bin", content)


def change(**fields: Any) -> Any:
    model = fitted("KMeans")
    for key, value in fields.items():
        setattr(model, key, value)
    return model


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (KMeans(3), "holds a k-means without centroids; save it after it was fitted"),
        (change(cluster_centers_=np.zeros(5, "f4")), r"has centroids of shape \[5\] and type float32"),
        (change(cluster_centers_=np.zeros((5, 2), "i8")), r"has centroids of shape \[5, 2\] and type int64"),
        (change(cluster_centers_=np.zeros((5, 0), "f4")), r"has centroids of shape \[5, 0\]"),
        (change(cluster_centers_=np.full((5, 2), np.nan)), "has centroids with a NaN or an Inf"),
        (change(cluster_centers_=np.full((5, 2), 1e60)), "has centroids with a NaN or an Inf"),
        (change(cluster_centers_=None), "is damaged or cut off .there is no array"),
        (change(n_clusters=6), "is damaged or cut off .it has 5 centroids of 6"),
        (np.zeros((5, 2), "f4"), r"holds numpy\._core\.multiarray\._reconstruct, not scikit-learn's k-means"),
        ({"a": 1}, "holds dict, not scikit-learn's k-means"),
        (Path("/"), r"asks for pathlib\.\w*\.?PosixPath, which is no part of scikit-learn's k-means"),
    ],
)
def test_other_contents_are_named(tmp_path: Path, content: Any, problem: str) -> None:
    path = tmp_path / "km.bin"
    path.write_bytes(pickle.dumps(content, 4))
    with pytest.raises(CheckpointError, match=rf"km\.bin: {problem}"):
        read_kmeans(path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "is missing; check the path"),
        (b"", r"cannot be read|is empty"),
        (b"PK\x03\x04", "is no file of joblib or pickle"),
        (b"BZh91AY", r"is compressed with bzip2, which is not read here; decompress it first \(bunzip2\)"),
        (b"\x04\x22\x4d\x18", "is compressed with lz4"),
        (b"\x78\x9cgarbage", "is damaged"),
        (b"\x80\x09.", "is damaged or cut off .it says that it is of protocol 9"),
        (b"\x80\x04\xff", "is damaged or cut off .byte 255 is no instruction"),
        (b"\x80\x04.", "is damaged or cut off .an instruction lacks its values"),
        (b"\x80\x04t", "is damaged or cut off .an instruction lacks its beginning"),
        (b"\x80\x04Na", "is damaged or cut off"),
        (b"\x80\x04h\x00", "is damaged or cut off .it refers to what is not there"),
        (b"\x80\x04X\x01\x00\x00\x00\xff", "is damaged or cut off .a text is no UTF-8"),
        (b"\x80\x04cno end", "is damaged or cut off .a name does not end"),
    ],
)
def test_damage_is_named(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "km.bin"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"km\.bin: ({problem})"):
        read_kmeans(path)


@pytest.mark.parametrize("attack", sorted(pickles.hostile("mark")))
def test_hostile_files_are_refused_by_name(tmp_path: Path, attack: str) -> None:
    mark, path = tmp_path / "it-ran", tmp_path / "km_L7.pt"
    content = pickles.hostile(str(mark))[attack]
    for written in (content, zlib.compress(content)):
        path.write_bytes(written)
        with pytest.raises(CheckpointError) as caught:
            read_kmeans(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: ") and "; " in message and "\n" not in message and len(message) < 400
        assert "without centroids" not in message, "it was refused for what it wants, not for what it lacks"
        with pytest.raises(CheckpointError, match="is never opened"):
            read_checkpoint(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        ("command", "asks for posix.system, which is no part of scikit-learn's k-means; do not open it with"),
        ("attribute of an allowed name", "asks for numpy.core.multiarray.scalar, which"),
        ("call of a class", "makes an object of numpy.ndarray in a way that"),
        ("binary persistent id", "uses the instruction BINPERSID, which"),
        ("extension", "uses the instruction EXT1, which"),
        ("array of objects", "holds an array of 'O8', not of numbers"),
        ("array beyond the file", "is damaged or cut off .it ends too early, or states a wrong length"),
        ("negative shape", "is damaged or cut off .an array has no shape"),
        ("deep nesting", "has more instructions than any such file needs"),
        ("doubling as a key", "is damaged or cut off .the keys of a dictionary"),
    ],
)
def test_the_reason_is_told(tmp_path: Path, attack: str, reason: str) -> None:
    path = tmp_path / "km_L7.pt"
    path.write_bytes(pickles.hostile("mark")[attack])
    with pytest.raises(CheckpointError, match=f"km_L7.pt: {reason}"):
        read_kmeans(path)


SPY = """
    import json, resource, sys
    from pathlib import Path

    import numpy, torch
    from tokaudio import Tokenizer
    from tokaudio.checkpoints import read_checkpoint
    from tokaudio.checkpoints.sklearn_kmeans import read_kmeans
    from tokaudio.errors import CheckpointError

    def attempt(load, path):
        try:
            load(path)
        except CheckpointError:
            return "refused"
        return "opened"

    folder = Path(sys.argv[1])
    attempt(Tokenizer.from_pretrained, folder / "plain")  # imports what loading needs
    before, seen = set(sys.modules), []
    harmful = ("os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess", "socket", "pickle.find_class")

    def spy(event, arguments):
        if event.startswith(harmful) or (event == "open" and any(mode in str(arguments[1]) for mode in "wax+")):
            seen.append(event)

    sys.addaudithook(spy)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    files = sorted(folder.glob("*.pt"))
    tries = [(load, path) for path in files for load in (read_kmeans, read_checkpoint)]
    tries += [(Tokenizer.from_pretrained, path) for path in (*files[:3], folder)]
    outcomes = {f"{load.__qualname__} {path.name}": attempt(load, path) for load, path in tries}
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used
    print(json.dumps([outcomes, seen, sorted(set(sys.modules) - before), grown]))
"""


def test_nothing_happens_when_hostile_files_are_read(tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    for number, content in enumerate(pickles.hostile(str(mark)).values()):
        (tmp_path / f"{number:02d}_L7.pt").write_bytes(content)
    (tmp_path / "plain").write_bytes(b"\x80\x04N.")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SPY), str(tmp_path)], capture_output=True, text=True, check=True
    )
    outcomes, seen, imported, grown = json.loads(done.stdout)
    assert len(outcomes) > 60 and set(outcomes.values()) == {"refused"}
    assert seen == []
    assert not [name for name in imported if name.partition(".")[0] in ("socket", "sklearn", "joblib", "antigravity")]
    assert grown < 50_000, "kilobytes"
    assert not mark.exists()


def test_what_grows_when_decompressed_is_stopped() -> None:
    bomb = zlib.compress(bytes(16 << 20))
    assert len(bomb) < 100_000
    with pytest.raises(CheckpointError, match=r"km\.pt: becomes larger than 2,000,000 bytes"):
        unpacked(memoryview(bomb), "km.pt", limit=2_000_000)
    assert len(unpacked(memoryview(bomb), "km.pt")) == 16 << 20
    with pytest.raises(CheckpointError, match=r"km\.pt: is cut off"):
        unpacked(memoryview(bomb)[:-5], "km.pt")
