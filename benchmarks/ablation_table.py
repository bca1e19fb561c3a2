"""The tables of `ablation.py`: figures of rows to Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from results import machine_line

from tokaudio.training.recipe import DataOptions

DOCS = Path(__file__).resolve().parents[1] / "docs" / "quantizers" / "ablation.md"

HEAD = (
    "| quantizer | mel distance | STOI | PESQ-wb | least used codebook | entropy, bits of frame | "
    "phones, first codebook | phones, all codes |"
)


def table(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a table of rows of equal bits per frame, best mel distance first.

    Example:
        >>> row = {"says": "a", "mel": 0.5, "stoi": 0.9, "pesq": 2.0, "used": [1.0, 0.5], "entropy": [3.0, 2.0],
        ...        "phones": [0.4, 0.2], "bits": 10.0}
        >>> table({"a": row})[-1]
        '| a | 0.500 | 0.900 | 2.00 | 50 % | 5.0 | 0.400 | - |'
    """
    lines = [HEAD, "|---|---:|---:|---:|---:|---:|---:|---:|"]
    for row in sorted(figures.values(), key=lambda row: float(row["mel"])):
        joint = f"{row['phones'][-1]:.3f}" if len(row["phones"]) > len(row["used"]) else "-"
        lines.append(
            f"| {row['says']} | {row['mel']:.3f} | {row['stoi']:.3f} | {row['pesq']:.2f} "
            f"| {100 * min(row['used']):.0f} % | {sum(row['entropy']):.1f} "
            f"| {row['phones'][0]:.3f} | {joint} |"
        )
    return lines


def by_bits(figures: Mapping[str, Mapping[str, Any]]) -> dict[int, dict[str, Mapping[str, Any]]]:
    """Return the rows by their bits per frame, rounded, fewest first.

    Example:
        >>> list(by_bits({"a": {"bits": 40.0}, "b": {"bits": 10.0}, "c": {"bits": 9.97}}))
        [10, 40]
    """
    found: dict[int, dict[str, Mapping[str, Any]]] = {}
    for name, row in sorted(figures.items(), key=lambda item: round(item[1]["bits"])):
        found.setdefault(round(row["bits"]), {})[name] = row
    return found


def section(
    figures: Mapping[str, Mapping[str, Any]], *, hours: float, start: int, steps: int, crops: DataOptions
) -> str:
    """Return the section of RESULTS.md, which is also the body of the page in docs.

    Args:
        figures: of finished rows, by name.
        hours: of speech in the pool.
        start: steps of the autoencoder.
        steps: steps of every row.
        crops: how many, and how long, per step.
    """
    lines = [
        "## Quantizers under one budget",
        "",
        machine_line(("torch", "pystoi", "pesq"), threads=1),
        "",
        f"One small autoencoder (16 kHz, 50 frames per second) learns from {hours:.2f} hours of speech for {start:,} "
        f"steps without quantization. Every row goes on from it for {steps:,} steps with its quantizer, with the same "
        f"{crops.batch} crops of {crops.crop_seconds:g} s in each step, the same losses, learning rates and seed, and "
        "no discriminator; its codebooks are set first, by k-means where the quantizer does that. The budget is far "
        "below what a good codec takes: compare rows, and only within a table. One seed: differences of a few "
        "thousandths of mel distance mean nothing.",
        "",
        "Mel distance (lower is better), STOI and PESQ-wb on sentences of four voices that took no part; use of "
        "codebooks on these and on the held-out sentences of festvox-ru, whose phones and times are known. Phones: "
        "the share of what there is to know about the phone of a frame that codes tell beyond chance (0 to 1), of the "
        "first codebook and of all of them together.",
    ]
    for bits, few in by_bits(figures).items():
        lines += ["", f"### {bits} bits per frame, {bits / 20:.1f} kbit/s", "", *table(few)]
    return "\n".join(lines)


def page(told: str) -> str:
    """Return the page of docs around the section.

    Example:
        >>> page("## Quantizers under one budget").splitlines()[0]
        '# Quantizers under one budget'
    """
    text = told.replace("\n### ", "\n## ").removeprefix("#")
    more = (
        "Written by `python benchmarks/ablation.py`; do not edit. The survey that this repeats at a small scale is "
        "Discrete Audio Tokens ([arXiv:2506.10274](https://arxiv.org/abs/2506.10274))."
    )
    return f"{text}\n\n{more}\n"
