"""`tokaudio list`: the tokenizers that can be loaded by name."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tokaudio.cli import options
from tokaudio.cli.report import columns, emit, emit_json

if TYPE_CHECKING:
    from tokaudio.catalogue import Entry
    from tokaudio.spec import TokenizerSpec

_HEADER = ["name", "kind", "rate", "frames/s", "codebooks", "bitrate", "chunking", "where", "compared", "licence"]


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

    chunking: long audio in pieces gives the very codes of the whole (exact; state: with a state that is carried along;
    none: it does not). compared: how far the codes were compared with those of the reference implementation.
    """
    from tokaudio.catalogue import entries

    found = entries(kind=None if kind is None else kind.value)
    if as_json:
        emit_json({"tokenizers": [_facts(entry) for entry in found]})
        return 0
    emit(columns([_HEADER, *(_row(entry) for entry in found)]))
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
    rate = f"{spec.sample_rate} Hz" + (
        "" if spec.output_sample_rate == spec.sample_rate else f" -> {spec.output_sample_rate} Hz"
    )
    bitrate = f"{spec.bitrate_kbps:.1f} kbps" if spec.bitrate_kbps >= 1 else f"{spec.bitrate_bps:.0f} bps"
    return [
        spec.name,
        spec.kind,
        rate,
        f"{float(spec.frame_rate):.5g}",
        books(spec),
        bitrate,
        spec.chunking,
        entry.where,
        "-" if entry.status == "built-in" else entry.status,
        spec.licence or "not stated",
    ]


def books(spec: TokenizerSpec) -> str:
    """Return the number and sizes of the codebooks, such as `8 x 1024`.

    Example:
        >>> from tokaudio.spec import CodebookSpec, TokenizerSpec
        >>> books(TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8), CodebookSpec(16))))
        '8 + 16'
    """
    sizes = spec.codebook_sizes
    return f"{len(sizes)} x {sizes[0]}" if len(set(sizes)) == 1 else " + ".join(map(str, sizes))


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
