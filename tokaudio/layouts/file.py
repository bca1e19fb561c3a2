"""`tokaudio.json`: tokenizer, layout and vocabulary of a dataset, in one file that any program can read.

All ids stand in it as numbers, so that a trainer needs no arithmetic and no tokaudio;
`docs/layouts/tokaudio-json.md` describes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokaudio.atomic import atomic_write
from tokaudio.errors import TokaudioError, TokensError, one_line
from tokaudio.json_text import parse_json
from tokaudio.layouts.flat import FlatLayout
from tokaudio.layouts.grid import GridLayout
from tokaudio.layouts.orders import Order
from tokaudio.layouts.runs import RunsLayout
from tokaudio.layouts.split import SplitLayout
from tokaudio.layouts.timed_layout import TimedLayout
from tokaudio.layouts.vocabulary import Vocabulary
from tokaudio.spec import TokenizerSpec

FORMAT, VERSION = "tokaudio-layout", 1
DATASET_FORMAT = "tokaudio-dataset"
FILE_NAME = "tokaudio.json"

AnyLayout = FlatLayout | GridLayout | RunsLayout | SplitLayout | TimedLayout


def layout_document(layout: AnyLayout) -> dict[str, Any]:
    """Return what `save_layout` writes, as plain values; a dataset may add fields of its own.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> document = layout_document(FlatLayout(spec))
        >>> document["layout"]
        {'name': 'flat', 'stages': [[0]], 'chunk': 1, 'separated': False}
        >>> document["vocabulary"]["codes"]
        [{'codebook': 0, 'phase': None, 'first': 4, 'size': 8}]
    """
    inner = layout.sound if isinstance(layout, TimedLayout) else layout
    options: dict[str, Any] = {} if isinstance(inner, SplitLayout) else inner.options()
    if isinstance(layout, TimedLayout):
        options = {"block": layout.block}
    return {
        "format": FORMAT,
        "version": VERSION,
        "tokenizer": layout.spec.to_dict(),
        "fingerprint": inner.fingerprint,
        "layout": {"name": layout.name, **options},
        "vocabulary": layout.vocabulary.to_dict(),
    }


def layout_from_document(document: Mapping[str, Any]) -> AnyLayout:
    """Build a layout from `layout_document()`, or from JSON; further fields are not looked at.

    Raises:
        TokensError: another format or version, an unknown layout, or fields that are missing or do not fit together.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 2)
        >>> layout_from_document(layout_document(GridLayout(spec, delays=(0, 1)))).delays
        (0, 1)
    """
    try:
        if document["format"] not in (FORMAT, DATASET_FORMAT) or document["version"] != VERSION:
            found = f"{document['format']} {document['version']}"
            raise TokensError(f"this is {found}, and {FORMAT} {VERSION} can be read; upgrade tokaudio")
        if document.get("layout") is None:
            raise TokensError("this is a dataset of codes without a layout; convert it to ids, or make a layout")
        spec = TokenizerSpec.from_dict(document["tokenizer"])
        vocabulary = Vocabulary.from_dict(document["vocabulary"])
        return _layout(spec, vocabulary, document["fingerprint"], dict(document["layout"]))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, TokaudioError):
            raise
        raise TokensError(f"a layout with missing or ill-typed fields ({error!r}); write it anew") from error


def _layout(spec: TokenizerSpec, vocabulary: Vocabulary, fingerprint: str, options: dict[str, Any]) -> AnyLayout:
    name = options.pop("name")
    if name == "flat":
        strides = tuple(book.stride for book in spec.codebooks)
        stages = tuple(tuple(stage) for stage in options["stages"])
        order = Order(strides, stages, options["chunk"], options["separated"])
        return FlatLayout(spec, order, vocabulary=vocabulary, fingerprint=fingerprint)
    if name == "grid":
        return GridLayout(
            spec,
            delays=options["delays"],
            by_place=options["by_place"],
            lead=options["lead"],
            before=options["before"],
            after=options["after"],
            vocabulary=vocabulary if options["in_vocabulary"] else None,
            fingerprint=fingerprint,
        )
    if name == "runs":
        return RunsLayout(spec, vocabulary=vocabulary, fingerprint=fingerprint)
    if name == "split":
        return SplitLayout(spec, vocabulary=vocabulary, fingerprint=fingerprint)
    if name == "timed":
        return TimedLayout(spec, vocabulary, block=options["block"], fingerprint=fingerprint)
    raise TokensError(f"no layout is called {name!r}; there are flat, grid, runs, split, timed")


def save_layout(folder: str | os.PathLike[str], layout: AnyLayout, *, overwrite: bool = False) -> Path:
    """Write `tokaudio.json` to a folder that exists, and return its path.

    Raises:
        OutputError: if the file exists and `overwrite` is false, or it cannot be written.

    Example:
        >>> import tempfile
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_layout(folder, FlatLayout(spec))
        ...     load_layout(folder)
        FlatLayout(toy, stages=[[0]], chunk=1, 12 ids)
    """
    path = Path(folder) / FILE_NAME
    text = json.dumps(layout_document(layout), indent=2, ensure_ascii=False) + "\n"
    atomic_write(path, text.encode(), overwrite=overwrite)
    return path


def load_layout(path: str | os.PathLike[str]) -> AnyLayout:
    """Read what `save_layout` wrote.

    Args:
        path: the file, or the folder that holds it.

    Raises:
        TokensError: a file that is not there, or that is no layout; the message names it.
    """
    file = Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)
    try:
        document = parse_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problem = f"cannot be read ({type(error).__name__})"
        raise TokensError(one_line(file, problem, "give a file that save_layout wrote")) from error
    if not isinstance(document, dict):
        raise TokensError(one_line(file, "holds no layout", "give a file that save_layout wrote"))
    try:
        return layout_from_document(document)
    except TokensError as error:
        raise TokensError(one_line(file, *str(error).partition("; ")[::2])) from error
