"""Published k-means: what scikit-learn fitted and joblib or pickle saved, read without either of them.

SpeechBrain publishes one such file per layer (`LibriSpeech_wavlm_k1000_L7.pt`, in DASB, arXiv:2406.14294), fairseq and
textlesslib one per model (`km.bin`, in GSLM, arXiv:2102.01192). joblib's files are pickles in which the bytes of each
array follow its description, outside the pickle's own instructions; they may be compressed as a whole.

Nothing of a file is run: [`PlainPickle`][tokaudio.checkpoints.plain_pickle.PlainPickle] notes down what it asks for,
and only the names that k-means and its arrays need may occur.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tokaudio.checkpoints.packed import LARGEST, unpacked
from tokaudio.checkpoints.plain_pickle import PlainPickle, Role, Thing
from tokaudio.checkpoints.torch_files import map_file
from tokaudio.errors import CheckpointError, one_line

if TYPE_CHECKING:
    import numpy as np

# Before scikit-learn 0.22, k_means_; joblib came inside scikit-learn before 0.23; numpy.core became _core in 2.0.
_KMEANS = {
    f"sklearn.cluster.{module}.{kind}" for module in ("_kmeans", "k_means_") for kind in ("KMeans", "MiniBatchKMeans")
}
_WRAPPERS = {f"{package}.numpy_pickle.NumpyArrayWrapper" for package in ("joblib", "sklearn.externals.joblib")}
_CORE = ("numpy.core", "numpy._core")
_RECONSTRUCT = {f"{core}.multiarray._reconstruct" for core in _CORE}
_FROM_BUFFER = {f"{core}.numeric._frombuffer" for core in _CORE}
_NAMES: dict[str, Role] = {
    **dict.fromkeys(_KMEANS | _WRAPPERS, Role.CLASS),
    **dict.fromkeys(_RECONSTRUCT | _FROM_BUFFER, Role.FUNCTION),
    **{f"{core}.multiarray.scalar": Role.FUNCTION for core in _CORE},
    "numpy.dtype": Role.FUNCTION,
    "numpy.ndarray": Role.WORD,
    # Protocol 2 knows no bytes: they are texts that are to be encoded.
    "_codecs.encode": Role.FUNCTION,
    # Where the random generator of the fit stood.
    "numpy.random.__RandomState_ctor": Role.FUNCTION,
    "numpy.random._pickle.__randomstate_ctor": Role.FUNCTION,
    "numpy.random._pickle.__bit_generator_ctor": Role.FUNCTION,
    "numpy.random._mt19937.MT19937": Role.WORD,
}
_SUBJECT = "scikit-learn's k-means"
_DTYPE = re.compile(r"[<>|=]?[fiub][1248]")
_MOST_DIMENSIONS = 8


def read_kmeans(path: str | os.PathLike[str]) -> Tensor:
    """Return the centroids `[V, D]`, float32, of a `KMeans` or `MiniBatchKMeans` that was saved.

    Args:
        path: a file of `joblib.dump`, with or without compression (zlib, gzip, bz2, xz), or of `pickle.dump`.

    Raises:
        CheckpointError: if the file asks for anything besides k-means and its arrays, is damaged or cut off, or its
            centroids are not finite.

    Example:
        >>> import joblib, numpy, sklearn.cluster, tempfile
        >>> kmeans = sklearn.cluster.KMeans(2, n_init=1).fit(numpy.array([[0.0], [1.0], [10.0]]))
        >>> (path,) = joblib.dump(kmeans, f"{tempfile.mkdtemp()}/km_L7.pt")
        >>> sorted(read_kmeans(path).flatten().tolist())
        [0.5, 10.0]
    """
    path = Path(path)
    try:
        content = unpacked(map_file(path), path)
    except FileNotFoundError as error:
        raise CheckpointError(one_line(path, "is missing", "check the path, or download it")) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(one_line(path, f"cannot be read ({error})", "download it again")) from error
    if bytes(content[:1]) != b"\x80":
        raise CheckpointError(one_line(path, "is no file of joblib or pickle", f"give one of {_SUBJECT}"))
    if len(content) > LARGEST:
        raise CheckpointError(one_line(path, f"is larger than any k-means ({len(content):,} bytes)", "give another"))
    pickle = _KMeansPickle(content, _NAMES, path, subject=_SUBJECT)
    return _centroids(pickle.read(), pickle, path)


class _KMeansPickle(PlainPickle):
    """Takes the bytes of arrays that joblib puts behind their descriptions."""

    def built(self, thing: Thing) -> None:
        if thing.name not in _WRAPPERS:
            return
        fields = thing.state
        if type(fields) is not dict:
            raise self.damaged("an array has no description")
        # Since joblib 1.2: a byte says how many follow until the array begins at a round address.
        if fields.get("numpy_array_alignment_bytes") is not None:
            self.take(self.take(1)[0])
        dtype = self.dtype(fields.get("dtype"))
        thing.raw = self.take(math.prod(self.shape(fields.get("shape"))) * dtype.itemsize)

    def shape(self, value: Any) -> tuple[int, ...]:
        if type(value) is tuple and len(value) <= _MOST_DIMENSIONS and all(type(n) is int and n >= 0 for n in value):
            return value
        raise self.damaged("an array has no shape")

    def dtype(self, value: Any) -> np.dtype[Any]:
        """Return the dtype that is described; only plain numbers, no objects and no records."""
        import numpy as np

        if type(value) is not Thing or value.name != "numpy.dtype" or not value.arguments:
            raise self.damaged("an array has no dtype")
        code, state = value.arguments[0], value.state
        order = state[1] if type(state) is tuple and len(state) > 1 else "="
        if type(code) is not str or not _DTYPE.fullmatch(code) or order not in ("<", ">", "|", "=") or code == "b2":
            raise self.refused(f"holds an array of {str(code)[:20]!r}, not of numbers")
        try:
            return np.dtype(code.lstrip("<>|=") if order == "|" else order + code.lstrip("<>|="))
        except TypeError as error:
            raise self.damaged(f"an array is of {code!r}") from error

    def array(self, value: Any) -> np.ndarray[Any, Any]:
        """Return the array that is described, in one of three ways."""
        import numpy as np

        if type(value) is not Thing:
            raise self.damaged("there is no array where one should be")
        state = value.state
        if value.raw is not None:
            raw, dtype, shape, fortran = value.raw, state.get("dtype"), state["shape"], state.get("order") == "F"
        elif value.name in _RECONSTRUCT and type(state) is tuple and len(state) == 5:
            _, shape, dtype, fortran, raw = state
        elif value.name in _FROM_BUFFER and len(value.arguments) == 4:
            raw, dtype, shape, order = value.arguments
            fortran = order == "F"
        else:
            raise self.damaged("an array has no values")
        kind, size = self.dtype(dtype), self.shape(shape)
        values = self._bytes(raw)
        if len(values) != math.prod(size) * kind.itemsize:
            raise self.damaged("the values of an array do not fit its shape")
        return np.frombuffer(values, kind).reshape(size, order="F" if fortran else "C")

    def _bytes(self, value: Any) -> bytes | memoryview:
        if type(value) is Thing and value.name == "_codecs.encode" and value.arguments[1:] == ("latin1",):
            value = value.arguments[0]
        if type(value) is str:
            try:
                return value.encode("latin-1")
            except UnicodeEncodeError as error:
                raise self.damaged("the values of an array are no bytes") from error
        if not isinstance(value, bytes | memoryview):
            raise self.damaged("an array has no values")
        return value


def _centroids(found: Any, pickle: _KMeansPickle, path: Path) -> Tensor:
    if type(found) is not Thing or found.name not in _KMEANS:
        kind = found.name if type(found) is Thing else type(found).__name__
        raise CheckpointError(one_line(path, f"holds {kind}, not {_SUBJECT}", "give the file of the fitted k-means"))
    fields = found.state if type(found.state) is dict else {}
    if "cluster_centers_" not in fields:
        raise CheckpointError(one_line(path, "holds a k-means without centroids", "save it after it was fitted"))
    centres = pickle.array(fields["cluster_centers_"])
    if centres.ndim != 2 or not all(centres.shape) or centres.dtype.kind != "f":
        problem = f"has centroids of shape {list(centres.shape)} and type {centres.dtype.name}"
        raise CheckpointError(one_line(path, problem, "give a k-means over vectors of floats"))
    count = fields.get("n_clusters")
    if type(count) is int and count != len(centres):
        raise pickle.damaged(f"it has {len(centres)} centroids of {count}")
    values = torch.from_numpy(centres.astype(centres.dtype.newbyteorder("="), order="C")).float()
    if not bool(torch.isfinite(values).all()):
        raise CheckpointError(one_line(path, "has centroids with a NaN or an Inf", "get an intact copy"))
    return values
