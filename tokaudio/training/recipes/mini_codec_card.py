"""What the model card of `mini-codec` says beyond its spec: data, training, measured quality, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokaudio.training.pool import AudioPool
from tokaudio.training.recipes.data_card import data_section

LIMITS = """## Limits

Speech only, 16 kHz, mono. Half of the training minutes are Russian or Italian from three speakers, and the
English is synthetic; there is no music, no noise and no overlapping speech. Read and prompted speech is what it knows.
Credits are in the package's `assets/NOTICE.md`."""


def about_mini_codec(pool: AudioPool, stages: Sequence[str], results: Mapping[str, Any] | None) -> str:
    """Return the card's sections in Markdown.

    Args:
        pool: what was trained on.
        stages: a sentence per stage of the training.
        results: figures by set and system, as `benchmarks/intelligibility.py --json` writes them.
    """
    lines = [*data_section(pool), f"Trained in {len(stages)} stages:", ""]
    lines += [f"{number}. {stage}" for number, stage in enumerate(stages, 1)]
    lines += [
        "",
        "Schedules and weights of losses were changed on the way: the recipes repeated give weights like these.",
        "",
    ]
    return "\n".join([*lines, *(_quality(results) if results else []), LIMITS])


def _quality(results: Mapping[str, Any]) -> list[str]:
    """Return the table of measured quality on speech that took no part in training."""
    lines = [
        "## Quality",
        "",
        "Speech that took no part in training; STOI (1 is perfect) and words that Whisper tiny.en misreads, in points",
        "above the original recordings. Samples of 8 to 60 clips of these sets were scored between trainings, and the",
        "loss weights were set after looking at them: the figures are therefore somewhat optimistic.",
        "",
        "| set | system | kbit/s | STOI | WER, points above original | least used codebook |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name, systems in results.items():
        for system, row in systems.items():
            if system == "original":
                continue
            more = "" if row["wer_above_original"] is None else f"{100 * row['wer_above_original']:+.1f}"
            usage = f"{100 * min(row['usage']):.0f} %" if row["usage"] else ""
            lines.append(f"| {name} | {system} | {row['kbps']:.2f} | {row['stoi']:.3f} | {more} | {usage} |")
    return [*lines, ""]
