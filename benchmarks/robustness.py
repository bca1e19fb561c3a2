"""How many codes of each codebook stay when the sound changes a little: noise, rooms, lossy formats, a shift, a slice.

    python benchmarks/robustness.py [--tokenizer NAME_OR_FOLDER ...] [--sounds N] [--no-write]

Sentences of the four evaluation voices, which took no part in training.

Needs: `pip install soundfile soxr librosa`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import evaluation_sets
import torch
from results import machine_line, write_section

from tokaudio import Tokenizer
from tokaudio.analysis.robustness.results import Robustness
from tokaudio.analysis.robustness.robustness import robustness

LEGEND = (
    "First the unit edit distance (arXiv:2209.15483; runs that change, over runs), then the share of frames that keep "
    "their code, for each codebook from the first. 0 and 1 are perfect; codes at random have the share under chance "
    "(of the first codebook), and a distance near 1."
)


def report(found: Mapping[str, Robustness], sounds: int) -> str:
    """Return the section in Markdown.

    Args:
        found: by tokenizer.
        sounds: how many sentences.
    """
    lines = ["## Codes of changed sounds", "", machine_line(("torch", "librosa", "soundfile"), threads=1), ""]
    lines.append(f"{sounds} sentences of four voices that took no part in training. {LEGEND}")
    for name, one in found.items():
        lines += ["", f"### {name}", "", "| change | edit distance | share that stays | chance |", "|---|---|---|---:|"]
        for change in one.transforms:
            edits = " ".join(f"{book.edit_distance.value:.2f}" for book in change.codebooks)
            stays = " ".join(f"{book.agreement.value:.2f}" for book in change.codebooks)
            lines.append(f"| {change.name} | {edits} | {stays} | {change.codebooks[0].chance:.3f} |")
        lines += [f"| {missing} | not measured: {reason} | | |" for missing, reason in one.not_measured.items()]
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description="Robustness of codes, by codebook and change.")
    parser.add_argument("--voices", type=Path, default=evaluation_sets.DEFAULT_VOICES)
    parser.add_argument("--tokenizer", action="append", help="name or folder; mini-codec and mini-semantic otherwise")
    parser.add_argument("--sounds", type=int, default=24, help="sentences")
    parser.add_argument("--no-write", action="store_true", help="leave RESULTS.md as it is")
    options = parser.parse_args()
    torch.set_num_threads(1)
    clips = [clip for clip in evaluation_sets.load_voices(options.voices) if clip.task == "read"]
    clips = evaluation_sets.every_nth(clips, options.sounds)
    found = {}
    for name in options.tokenizer or ("mini-codec", "mini-semantic"):
        codec = Tokenizer.from_pretrained(name)
        sounds = ((clip.audio, evaluation_sets.SAMPLE_RATE) for clip in clips)
        found[f"{codec.spec.name} ({codec.fingerprint})"] = robustness(codec, sounds)
    told = report(found, len(clips))
    print(told)
    if not options.no_write:
        write_section("robustness", told)


if __name__ == "__main__":
    main()
