"""What the model card of `mini-hybrid` says beyond its spec: design, data, training, measured quality, limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokaudio.training.pool import AudioPool
from tokaudio.training.recipes.data_card import LIMITS, data_section

DESIGN = """## What it is

`mini-codec` with a first codebook that says what is spoken. The encoder has one more block and 64 more latent
dimensions, which were taught what the encoder of `mini-semantic` hears: a student of the encoder of Whisper tiny.en
(MIT) that was told phones, of festvox-ru by its labels and of synthetic voices by the recogniser of `hama`
(Apache-2.0). The first codebook quantizes these dimensions alone; its vectors say, besides, what the sound's
dimensions are on average beside them, and seven more codebooks quantize what that leaves."""


def about_mini_hybrid(pool: AudioPool, steps: Mapping[str, int], results: Mapping[str, Any] | None) -> str:
    """Return the card's sections in Markdown.

    Args:
        pool: what was trained on.
        steps: optimizer steps of `mini-codec` before, of the distillation (`distilled`) and of all parts (`hybrid`).
        results: figures by set and system, as `benchmarks/mini_hybrid.py --json` writes them.
    """
    lines = [
        DESIGN,
        "",
        *data_section(pool),
        f"It went on from {steps['codec']:,} steps of mini-codec (recipes `mini_codec`, `mini_codec_tuning`): "
        f"{steps['distilled']:,} steps of the encoder, taught the content while it kept the rest, then "
        f"{steps['hybrid']:,} steps of all parts with spectral losses, without discriminators (recipe `mini_hybrid`).",
        "",
    ]
    return "\n".join([*lines, *(_quality(results) if results else []), LIMITS])


def _quality(results: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Quality",
        "",
        "Speech that took no part in training. Share of what there is to know about the phone of a frame that the",
        "first codebook tells, beyond chance; log-mel distance of the sound of all codebooks. The phones of the",
        "held-out voices are those that `hama` hears, which it also told the teacher: there, the figures say in part",
        "how well its habits were learned.",
        "",
        "| set | system | phones, first codebook | mel distance | least used codebook |",
        "|---|---|---:|---:|---:|",
    ]
    for name, systems in results.items():
        for system, row in systems.items():
            mel, used = next(reversed(row["mel"].values())), 100 * min(row["used"])
            lines.append(f"| {name} | {system} | {row['share'][0]:.3f} | {mel:.4f} | {used:.0f} % |")
    return [*lines, ""]
