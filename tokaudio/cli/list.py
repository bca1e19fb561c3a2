"""`tokaudio list`: the tokenizers that can be loaded by name."""

from __future__ import annotations

from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tokaudio.cli import options
from tokaudio.cli.report import columns, emit, emit_json

if TYPE_CHECKING:
    from tokaudio.catalogue import Entry
    from tokaudio.spec import TokenizerSpec

_HEADER = ["name", "kind", "kHz", "frames/s", "codebooks", "kbps", "where", "compared", "licence"]
# Characters of a line; what goes beyond is the end of a long licence, which --json tells in full.
_WIDTH = 120


class Kind(StrEnum):
    """Kinds of tokenizers."""

    semantic = "semantic"
    compression = "compression"
    hybrid = "hybrid"


def list_command(
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only tokenizers of this kind.")] = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """List the tokenizers that can be loaded by name: those inside tokaudio, and published ones.

    kHz: the sample rate that goes in, and the one that comes out where that is another. compared: how far the codes
    were compared with those of the reference implementation. licence: of the weights; a question mark where it could
    not be looked up. --json says more, such as whether long audio in pieces gives the very codes of the whole.
    """
    from tokaudio.catalogue import entries

    found = entries(kind=None if kind is None else kind.value)
    if as_json:
        emit_json({"tokenizers": [_facts(entry) for entry in found]})
        return 0
    lines = columns([_HEADER, *(_row(entry) for entry in found)]).splitlines()
    emit("\n".join(line if len(line) <= _WIDTH else f"{line[: _WIDTH - 2]}.." for line in lines))
    return 0


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        **rates(entry.spec),
        "aliases": list(entry.aliases),
        "family": entry.family,
        "where": entry.where,
        "verification": None if entry.status == "built-in" else entry.status,
        "repo": entry.repo or None,
        "revision": entry.revision if entry.repo else None,
        "files": list(entry.files or entry.originals),
    }


def _row(entry: Entry) -> list[str]:
    spec = entry.spec
    rates_in_khz = [f"{rate / 1000:g}" for rate in dict.fromkeys((spec.sample_rate, spec.output_sample_rate))]
    return [
        spec.name,
        spec.kind,
        "/".join(rates_in_khz),
        f"{float(spec.frame_rate):.5g}",
        books(spec),
        f"{spec.bitrate_kbps:.2f}",
        entry.where,
        "-" if entry.status == "built-in" else entry.status,
        _short(spec.licence),
    ]


def _short(licence: str) -> str:
    """Return a licence without its remark."""
    name, _, remark = licence.partition(" (")
    return f"{name or 'not stated'}{'?' if remark == 'unverified)' else ''}"


def books(spec: TokenizerSpec) -> str:
    """Return the numbers and sizes of the codebooks, such as `8 x 1024`.

    Example:
        >>> from tokaudio.spec import CodebookSpec, TokenizerSpec
        >>> books(TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8), *(CodebookSpec(16),) * 2)))
        '1 x 8 + 2 x 16'
    """
    return " + ".join(f"{len(list(group))} x {size}" for size, group in groupby(spec.codebook_sizes))


def rates(spec: TokenizerSpec) -> dict[str, Any]:
    """Return a spec with the rates that follow from it, as JSON holds it.

    Example:
        >>> from tokaudio.spec import CodebookSpec, TokenizerSpec
        >>> rates(TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),)))["token_rate"]
        50.0
    """
    return {
        **spec.to_dict(),
        "num_codebooks": spec.num_codebooks,
        "frame_rate": float(spec.frame_rate),
        "token_rate": float(spec.token_rate),
        "bitrate_bps": spec.bitrate_bps,
    }
