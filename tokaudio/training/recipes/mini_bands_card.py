"""What the model card of `mini-bands` says beyond its spec: design, data, training, measured quality, limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokaudio.training.pool import AudioPool
from tokaudio.training.recipes.data_card import LIMITS, data_section

DESIGN = """## What it is

A codec for looking at, editing or dropping codes by frequency: each of the 8 codebooks has a band of its own, with an
encoder that hears this band alone and a decoder that writes into it alone, so that what a code does is known from
where it stands. Bands cannot lend each other bits: at the same bitrate, mini-codec sounds better."""


def about_mini_bands(pool: AudioPool, steps: int, results: Mapping[str, Any] | None) -> str:
    """Return the card's sections in Markdown.

    Args:
        pool: what was trained on.
        steps: optimizer steps taken.
        results: figures by system, as `benchmarks/mini_bands.py --json` writes them, this tokenizer's first.
    """
    lines = [
        DESIGN,
        "",
        *data_section(pool),
        f"{steps:,} steps of all parts with spectral losses, without discriminators (preset and recipe `mini-bands`).",
        "",
    ]
    return "\n".join([*lines, *(_quality(results) if results else []), LIMITS])


def _quality(results: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Quality",
        "",
        "Sentences of four voices that took no part in training. Attribution: of what shuffling a codebook's codes",
        "over the frames changes in the sound, the share of the energy in its own band, of the worst codebook.",
        "",
        "| system | attribution | log-mel distance | STOI | PESQ-wb | least used codebook |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for system, row in results.items():
        own = min(shares[number] for number, shares in enumerate(row["shares"]))
        lines.append(
            f"| {system} | {100 * own:.0f} % | {row['mel']:.4f} | {row['stoi']:.3f} | {row['pesq']:.2f} "
            f"| {100 * min(row['used']):.0f} % |"
        )
    return [*lines, ""]
