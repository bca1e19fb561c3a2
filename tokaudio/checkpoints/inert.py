"""A pickle reader that knows tensors and plain containers, and turns everything else into objects that do nothing.

Checkpoints of training frameworks hold their whole run: callbacks, configurations, paths of the author's machine. A
pickle names the classes and functions that it wants; here each name gives one of a few substitutes of our own, or a
`Placeholder`. No module is imported for a pickle, and no function but the substitutes is ever called.
"""

from __future__ import annotations

import os
import pickle  # only its reader, without its way to find classes
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO

import torch
from torch import Tensor

from tokaudio.errors import CheckpointError, one_line

# No checkpoint has a reason to ask for these.
_HOSTILE_MODULES = {"os", "posix", "nt", "sys", "subprocess", "shutil", "socket", "ctypes", "importlib", "runpy", "pty"}
_HOSTILE_BUILTINS = {"eval", "exec", "execfile", "compile", "open", "__import__", "breakpoint", "input"}
_SAFE_KINDS = "biufc"


class Placeholder(dict[Any, Any]):
    """Stands for an object of an unknown class: keeps the items that it is given, and ignores all else."""

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __new__(cls, *_arguments: Any, **_options: Any) -> Placeholder:
        """Ignore all arguments."""
        return super().__new__(cls)

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        super().__init__()

    def __call__(self, *_arguments: Any, **_options: Any) -> Placeholder:
        """Return another placeholder."""
        return Placeholder()

    def __setstate__(self, _state: Any) -> None:
        """Ignore the state."""

    def append(self, _element: Any) -> None:
        """Ignore an element."""

    extend = add = append


class _Substitute:
    """A function of ours in place of one that a pickle names; nothing can be set on it."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, _state: Any) -> None:
        raise pickle.UnpicklingError("sets the state of a function")


class _Dtype:
    """Stands for a numpy dtype; its state (byte order, fields) is ignored, as scalars of other orders do not occur."""

    def __init__(self, code: object = "", *_flags: object) -> None:
        self.code = str(code)

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] == ">":
            raise pickle.UnpicklingError("holds numbers of the other byte order")


class _Namespace(Placeholder):
    """`argparse.Namespace` as a dictionary."""

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.update(state)


def _scalar(dtype: Any, raw: Any = b"") -> Any:
    import numpy as np

    # Old pickles hold bytes as Latin-1 text.
    raw = raw.encode("latin1") if isinstance(raw, str) else raw
    if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes) or dtype.code[:1] not in _SAFE_KINDS:
        return Placeholder()
    return np.frombuffer(raw, dtype.code, count=1)[0].item()


def _encode(text: str = "", _encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


def _path(*parts: Any) -> str:
    return os.path.join(*map(str, parts)) if parts else "."  # noqa: PTH118 - text, not a path of this machine


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *_rest: Any) -> Tensor:
    if not isinstance(storage, Tensor):
        raise pickle.UnpicklingError("holds a tensor without values")
    # as_strided refuses to look beyond the values that are there.
    return storage.as_strided(tuple(size), tuple(stride), int(offset))


def _old_tensor(storage: Any, offset: int, size: Any, stride: Any) -> Tensor:
    return _tensor(storage, offset, size, stride)


def _parameter(data: Any, *_rest: Any) -> Any:
    return data


_SUBSTITUTES: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": OrderedDict,
    "collections.defaultdict": lambda *_arguments: {},
    "builtins.dict": dict,
    "builtins.list": list,
    "builtins.tuple": tuple,
    "builtins.set": set,
    "builtins.frozenset": frozenset,
    "torch.Size": tuple,
    "torch._utils._rebuild_tensor": _old_tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.nn.parameter.Parameter": _parameter,
    "torch.storage._load_from_bytes": lambda *_arguments: Placeholder(),
    "_codecs.encode": _encode,
    "numpy.dtype": _Dtype,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    **{f"pathlib{module}.{kind}": _path for module in ("", "._local") for kind in ("PosixPath", "WindowsPath", "Path")},
    **{
        f"pathlib{module}.Pure{kind}": _path
        for module in ("", "._local")
        for kind in ("PosixPath", "WindowsPath", "Path")
    },
}


_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "UntypedStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}

_DTYPES = frozenset(_STORAGES.values())


# Not the one in C: that makes a table as long as the greatest number in a PUT, so that five bytes could ask for 32 GB.
class InertUnpickler(pickle._Unpickler):
    """Reads a pickle of `torch.save` without running anything of it.

    Args:
        stream: the pickle.
        storage: gives the values of a storage, a 1-D tensor, from its key, dtype and number of elements.
        where: the file, for messages.
    """

    def __init__(
        self, stream: BinaryIO, storage: Callable[[str, torch.dtype, int], Tensor], where: str | os.PathLike[str]
    ) -> None:
        super().__init__(stream, encoding="utf-8", errors="replace")
        self._storage, self._where = storage, where

    def load(self) -> Any:
        """Return what the pickle holds.

        Raises:
            ValueError: if it asks for more memory than there is.
        """
        try:
            return super().load()
        except MemoryError as error:
            raise ValueError("it asks for more memory than there is") from error

    def find_class(self, module: str, name: str) -> Any:
        """Return a substitute, or a class of placeholders.

        Raises:
            CheckpointError: for what only a hostile file would name.
        """
        root = module.partition(".")[0]
        builtin = module in ("builtins", "__builtin__")
        full = f"{'builtins' if builtin else module}.{name}"
        if root in _HOSTILE_MODULES or (builtin and name.partition(".")[0] in _HOSTILE_BUILTINS):
            problem = f"is hostile: its pickle asks for {full}"
            raise CheckpointError(one_line(self._where, problem, "delete it, and warn whoever you have it from"))
        if full == "argparse.Namespace":
            return _Namespace
        if module in ("torch", "torch.storage") and name.endswith("Storage"):
            return _storage_dtype(name)
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if full in _SUBSTITUTES:
            return _Substitute(_SUBSTITUTES[full])
        return type("Placeholder", (Placeholder,), {})

    def persistent_load(self, pid: Any) -> Tensor:
        """Return the values of a storage."""
        if not (isinstance(pid, tuple) and len(pid) in (5, 6) and pid[0] == "storage" and pid[1] in _DTYPES):
            raise pickle.UnpicklingError("refers to values in an unknown way")
        _, dtype, key, _, numel, *view = pid
        values = self._storage(str(key), dtype, int(numel))
        if not view or view[0] is None:
            return values
        # Old files name a part of other values: its own key, where it begins, its length.
        _, start, length = view[0]
        return values.narrow(0, int(start), int(length))


def _storage_dtype(name: str) -> torch.dtype:
    if name not in _STORAGES:
        raise pickle.UnpicklingError(f"holds values of the unknown kind {name}")
    return _STORAGES[name]
