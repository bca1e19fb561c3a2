"""`DatasetInfo`: what holds for all rows of a dataset, and its file `tokaudio.json`.

The file is that of a layout (`tokaudio.layouts.file`) with a section `dataset`, and has the layout and the vocabulary
only where rows hold ids; `docs/corpus/formats.md` describes it. This module does not import torch.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from tokaudio._spec_checks import known_fields, require_choice, require_int, require_text
from tokaudio.atomic import atomic_write
from tokaudio.errors import TokensError, one_line
from tokaudio.json_text import parse_json
from tokaudio.spec import TokenizerSpec

if TYPE_CHECKING:
    from tokaudio.layouts.file import AnyLayout

FORMAT, VERSION = "tokaudio-dataset", 1
FILE_NAME = "tokaudio.json"
MAX_INFO_BYTES = 2**24

ColumnType = Literal["string", "integer", "number", "boolean"]
RESERVED = frozenset(
    ("key", "codes", "num_frames", "num_samples", "sample_rate", "duration", "start", "end", "source", "depth")
)
"""Names that columns of a row cannot have, as every format uses them itself; none may begin with `extra_` either."""

_WIDTHS = {"uint": (8, 16, 32, 64), "int": (8, 16, 32, 64), "float": (16, 32, 64)}
_EXTRA_DTYPES = ("bool", *(f"{kind}{bits}" for kind, widths in _WIDTHS.items() for bits in widths))
_MAX_EXTRA_VALUES = 2**24


@dataclass(frozen=True)
class ExtraInfo:
    """Type and shape of one extra, the same for all rows.

    Args:
        dtype: name of the number type, such as `float32`.
        shape: of one row; of one frame where the name begins with `frame_`.

    Raises:
        TokensError: another type, or sizes that are too large.

    Example:
        >>> ExtraInfo("float32", (192,)).values
        192
    """

    dtype: str
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        require_choice("dtype of an extra", self.dtype, _EXTRA_DTYPES)
        object.__setattr__(self, "shape", tuple(self.shape))
        for size in self.shape:
            require_int("size of an extra", size, minimum=0)
        if self.values > _MAX_EXTRA_VALUES:
            raise TokensError(f"an extra of {self.values:,} values; keep at most {_MAX_EXTRA_VALUES:,} in a row")

    @property
    def values(self) -> int:
        """Numbers per row, or per frame."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class DatasetInfo:
    """What holds for all rows of a dataset.

    Args:
        spec: of the tokenizer that made the codes, with as many codebooks as the rows have.
        fingerprint: of its weights; empty where unknown.
        provenance: further facts as text, such as the resampler.
        columns: type of each column that rows pass through, by name: `string`, `integer`, `number` or `boolean`.
        extras: type and shape of the side information, by name.
        depth: whether rows say how many codebooks are valid at each frame.
        layout: how codes became ids, where rows hold ids (Megatron); None elsewhere.
        num_rows: of the whole dataset, None where not known; so are the next two.
        num_frames: of all rows.
        num_samples: of all rows, at `spec.sample_rate`.

    Raises:
        TokensError: a field of the wrong type or out of range.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> DatasetInfo(spec, columns={"text": "string"}).code_dtype
        dtype('uint16')
    """

    spec: TokenizerSpec
    fingerprint: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, ColumnType] = field(default_factory=dict)
    extras: Mapping[str, ExtraInfo] = field(default_factory=dict)
    depth: bool = False
    layout: AnyLayout | None = None
    num_rows: int | None = None
    num_frames: int | None = None
    num_samples: int | None = None

    def __post_init__(self) -> None:
        require_text("fingerprint", self.fingerprint, empty=True)
        for name, text in self.provenance.items():
            require_text("name in the provenance", name, empty=False)
            require_text(f"provenance {name}", text, empty=True)
        for name, kind in self.columns.items():
            _require_column(name, kind)
        for name, extra in self.extras.items():
            if not (isinstance(name, str) and name.isidentifier() and isinstance(extra, ExtraInfo)):
                raise TokensError(f"an extra is named {name!a}; give a name of letters, digits and underscores")
        for count in ("num_rows", "num_frames", "num_samples"):
            if getattr(self, count) is not None:
                require_int(count, getattr(self, count), minimum=0, maximum=2**63 - 1)
        if max(self.spec.codebook_sizes) > 2**31:
            raise TokensError(f"{self.spec.name} has codebooks of over 2**31 codes; datasets hold codes as int32")
        for name in ("provenance", "columns", "extras"):
            object.__setattr__(self, name, MappingProxyType(dict(sorted(getattr(self, name).items()))))

    def __reduce__(self) -> tuple[Any, ...]:
        # Workers receive it, and a read-only mapping does not travel.
        plain = {name: dict(getattr(self, name)) for name in ("provenance", "columns", "extras")}
        values = [plain.get(f.name, getattr(self, f.name)) for f in dataclasses.fields(self)]
        return type(self), tuple(values)

    def __eq__(self, other: object) -> bool:
        """Whether `tokaudio.json` would be the same."""
        return self.to_document() == other.to_document() if isinstance(other, DatasetInfo) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    @property
    def code_dtype(self) -> np.dtype[Any]:
        """Type of the codes in rows: uint16, or int32 where a codebook has more than 65,536 of them."""
        return np.dtype("int32" if self.spec.code_dtype == "uint32" else "uint16")

    def to_document(self) -> dict[str, Any]:
        """Return what `tokaudio.json` holds, as plain values."""
        document: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "tokenizer": self.spec.to_dict(),
            "fingerprint": self.fingerprint,
        }
        if self.layout is not None:
            from tokaudio.layouts.file import layout_document

            laid_out = layout_document(self.layout)
            document |= {name: laid_out[name] for name in ("layout", "vocabulary")}
        document["dataset"] = {
            "provenance": dict(self.provenance),
            "columns": dict(self.columns),
            "extras": {name: {"dtype": x.dtype, "shape": list(x.shape)} for name, x in self.extras.items()},
            "depth": self.depth,
            "num_rows": self.num_rows,
            "num_frames": self.num_frames,
            "num_samples": self.num_samples,
        }
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> DatasetInfo:
        """Build it from `to_document()`, or from JSON; further fields are not looked at.

        Raises:
            TokensError: another format or version, or fields that are missing or ill-typed.

        Example:
            >>> from tokaudio.spec import CodebookSpec
            >>> info = DatasetInfo(TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),)))
            >>> DatasetInfo.from_document(info.to_document()) == info
            True
        """
        if not isinstance(document, Mapping):
            raise TokensError("this is no dataset; give what was written beside one")
        if (document.get("format"), document.get("version")) != (FORMAT, VERSION):
            found = f"{document.get('format')!a:.40} {document.get('version')!a:.20}"
            raise TokensError(f"this is {found}, and {FORMAT} {VERSION} can be read; upgrade tokaudio")
        try:
            facts = dict(document["dataset"])
            extras = {name: ExtraInfo(**known_fields(ExtraInfo, x, name)) for name, x in facts.pop("extras").items()}
            known = {f.name for f in dataclasses.fields(cls)} - {"spec", "fingerprint", "layout", "extras"}
            options = {name: value for name, value in facts.items() if name in known}
            spec = TokenizerSpec.from_dict(document["tokenizer"])
            return cls(spec, document["fingerprint"], extras=extras, layout=_layout(document), **options)
        except TokensError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problem = f"a dataset with missing or ill-typed fields ({type(error).__name__}: {str(error)!a:.60})"
            raise TokensError(f"{problem}; write it anew") from error


def _layout(document: Mapping[str, Any]) -> AnyLayout | None:
    if document.get("layout") is None:
        return None
    from tokaudio.layouts.file import layout_from_document

    return layout_from_document(document)


def _require_column(name: object, kind: object) -> None:
    require_text("name of a column", name, empty=False)
    if name in RESERVED or str(name).startswith("extra_"):
        raise TokensError(f"a column is named {name}, which datasets use themselves; rename it")
    require_choice(f"type of the column {name}", kind, get_args(ColumnType))


def info_bytes(info: DatasetInfo) -> bytes:
    """Return the content of `tokaudio.json`."""
    return (json.dumps(info.to_document(), indent=2, ensure_ascii=False) + "\n").encode()


def parse_info(path: str | os.PathLike[str], content: bytes) -> DatasetInfo:
    """Return what `info_bytes` gave; `path` is for messages.

    Raises:
        TokensError: anything else.
    """
    try:
        return DatasetInfo.from_document(parse_json(content))
    except TokensError as error:
        raise TokensError(one_line(path, *str(error).rpartition("; ")[::2])) from error
    except ValueError as error:
        raise TokensError(one_line(path, "holds no JSON", "write the dataset again")) from error


def save_info(folder: str | os.PathLike[str], info: DatasetInfo, *, overwrite: bool = False) -> Path:
    """Write `tokaudio.json` to a folder that exists, whole or not at all, and return its path.

    Raises:
        OutputError: if the file exists and `overwrite` is false, or it cannot be written.

    Example:
        >>> import tempfile
        >>> from tokaudio.spec import CodebookSpec
        >>> info = DatasetInfo(TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_info(folder, info)
        ...     read_info(folder) == info
        True
    """
    path = Path(folder) / FILE_NAME
    atomic_write(path, info_bytes(info), overwrite=overwrite)
    return path


def read_info(path: str | os.PathLike[str]) -> DatasetInfo:
    """Read `tokaudio.json` of a dataset.

    Args:
        path: the file, or the folder that holds it.

    Raises:
        TokensError: a file that is not there, or that is no dataset's; the message names it.
    """
    file = Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_INFO_BYTES + 1)
    except OSError as error:
        problem = f"cannot be read ({error.strerror or type(error).__name__})"
        raise TokensError(one_line(file, problem, "give the folder of a dataset")) from error
    if len(content) > MAX_INFO_BYTES:
        raise TokensError(one_line(file, "is too large for a description", "give the folder of a dataset"))
    return parse_info(file, content)
