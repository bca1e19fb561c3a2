"""What the model card of `mini-codec` says beyond its spec: data, training, measured quality, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokaudio.training.pool import AudioPool

LICENCES = {
    "festvox-ru": ("Russian, one speaker, Debian package", "BSD-like"),
    "asterisk-core-sounds-it-g722": ("Italian prompts, one speaker, Debian package", "CC-BY-3.0"),
    "asterisk-core-sounds-ru-g722": ("Russian prompts, one speaker, Debian package", "CC-BY-3.0"),
    "hibari": ("English sentences, synthetic, one voice", "Apache-2.0 (hibari-tts)"),
    "voices-read": ("English sentences, synthetic, 24 voices and 60 blends", "Apache-2.0 (Kokoro-82M), texts CC0"),
    "voices-intent": ("English requests, synthetic, the same 24 voices", "Apache-2.0 (Kokoro-82M), texts CC0"),
    "voices-keyword": ("English words, synthetic, the same 24 voices", "Apache-2.0 (Kokoro-82M), texts CC0"),
}

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
    seconds: dict[str, float] = {}
    for clip in pool.clips:
        seconds[clip.source] = seconds.get(clip.source, 0.0) + clip.length / pool.sample_rate
    lines = ["## Data", "", "| source | what | minutes | licence |", "|---|---|---:|---|"]
    for source, duration in seconds.items():
        what, licence = LICENCES[source]
        lines.append(f"| `{source}` | {what} | {duration / 60:.1f} | {licence} |")
    hours = pool.seconds / 3600
    lines += ["", f"{hours:.2f} hours in all, cut at random. Trained in {len(stages)} stages:", ""]
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
