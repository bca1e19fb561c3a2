"""What the codebooks of `mini-hybrid` know about phones beside those of `mini-codec`, and what that costs in sound.

    python benchmarks/mini_hybrid.py --work WORK [--tokenizer NAME] [--beside NAME]

WORK is the folder of `tokaudio.training.recipes.mini_semantic`, with the download of festvox-ru. Both sets took no part
in training: every tenth sentence of festvox-ru, with phone times, and four synthetic English voices, with phones that
the package `hama` recognises. Mel distance is the mean over every few recordings of both sets.

Needs: `pip install soundfile soxr hama`; `apt-get install ffmpeg` for festvox-ru.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import evaluation_sets
import numpy as np
import torch
from ablation import usage
from results import machine_line, write_section
from semantic_quality import RATE, Labelled, festvox, voices

from tokaudio import Tokenizer
from tokaudio.analysis.statistics.information import evaluate
from tokaudio.metrics.spectral import mel_distance

DEPTHS = (1, 3, 8)


def judged(codec: Tokenizer, clips: Sequence[Labelled], *, every: int) -> dict[str, Any]:
    """Return the figures of a tokenizer on a set: of its first two codebooks, its use of all, and of the sound.

    Args:
        codec: with 8 codebooks.
        clips: recordings and the phones of their frames.
        every: of how many one is decoded.
    """
    codes, phones = [], []
    distances: dict[int, list[float]] = {depth: [] for depth in DEPTHS}
    for number, clip in enumerate(clips):
        tokens = codec.encode(clip.samples, RATE)
        found = tokens.codes[0].numpy()
        count = min(found.shape[1], len(clip.phones))
        codes.append(found[:, :count])
        phones.append(clip.phones[:count])
        for depth in DEPTHS if number % every == 0 else ():
            sound = codec.decode(tokens.select_codebooks(depth))[0, 0, : len(clip.samples)]
            distances[depth].append(mel_distance(clip.samples.numpy(), sound.numpy(), RATE))
    told, labels = np.concatenate(codes, axis=1), np.concatenate(phones)
    about = [evaluate(row, labels) for row in told[:2]]
    return {
        "frames": about[0].frames,
        "pnmi": [row.pnmi for row in about],
        "bits": [row.corrected - row.floor for row in about],
        "share": [row.share for row in about],
        "used": [share for share, _ in usage(told, codec.spec.codebook_sizes)],
        "mel": {str(depth): float(np.mean(row)) for depth, row in distances.items()},
    }


def ratios(results: Mapping[str, Mapping[str, Mapping[str, Any]]], ours: str, theirs: str) -> list[str]:
    """Return a line per set: how many times the phone information of the first codebook, and the mel distance.

    Example:
        >>> row = {"bits": [2.0, 0.0], "pnmi": [0.5, 0.0], "mel": {"8": 0.2}}
        >>> few = {"bits": [1.0, 0.0], "pnmi": [0.4, 0.0], "mel": {"8": 0.1}}
        >>> ratios({"speech": {"a": row, "b": few}}, "a", "b")
        ['- speech: 2.00 times the bits about phones beyond chance (PNMI 1.25 times), mel distance 2.000 times.']
    """
    lines = []
    for name, rows in results.items():
        one, other = rows[ours], rows[theirs]
        told, plain = one["bits"][0] / other["bits"][0], one["pnmi"][0] / other["pnmi"][0]
        mel = one["mel"]["8"] / other["mel"]["8"]
        lines.append(
            f"- {name}: {told:.2f} times the bits about phones beyond chance (PNMI {plain:.2f} times), "
            f"mel distance {mel:.3f} times."
        )
    return lines


def report(results: Mapping[str, Mapping[str, Mapping[str, Any]]], ours: str, theirs: str) -> str:
    """Return the section in Markdown; `results` by set and system."""
    lines = [
        f"## What the first codebook of {ours} knows",
        "",
        machine_line(("torch", "hama"), threads=1),
        "",
        "Of the first two codebooks: bits that they tell about the phone of a frame (mutual information after Miller "
        "and Madow, less what shuffled labels give), that as a share of what there is to know, and PNMI as published, "
        "which chance raises with 1,024 codes. Mel distance with 1, 3 and 8 codebooks.",
        "",
        "| speech | system | frames | bits, codebooks 1 and 2 | share | PNMI | least used codebook | mel distance |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, rows in results.items():
        for system, row in rows.items():
            bits, share, pnmi = (" / ".join(f"{value:.3f}" for value in row[key]) for key in ("bits", "share", "pnmi"))
            mel = " / ".join(f"{value:.4f}" for value in row["mel"].values())
            used = f"{100 * min(row['used']):.0f} %"
            lines.append(f"| {name} | {system} | {row['frames']} | {bits} | {share} | {pnmi} | {used} | {mel} |")
    lines += ["", f"The first codebook of {ours} beside that of {theirs}, and all 8 of both:", ""]
    return "\n".join([*lines, *ratios(results, ours, theirs)])


def main() -> None:
    """Measure, and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description="mini-hybrid beside mini-codec: phones and sound.")
    parser.add_argument("--work", type=Path, required=True, help="folder of the recipe of mini-semantic")
    parser.add_argument("--voices", type=Path, default=evaluation_sets.DEFAULT_VOICES)
    parser.add_argument("--tokenizer", default="mini-hybrid", help="name or folder")
    parser.add_argument("--beside", default="mini-codec", help="name or folder")
    parser.add_argument("--every", type=int, default=4, help="of how many recordings one is decoded")
    parser.add_argument("--json", type=Path, help="also write the figures here, for the model card")
    parser.add_argument("--no-write", action="store_true", help="leave RESULTS.md as it is")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ours, theirs = Tokenizer.from_pretrained(options.tokenizer), Tokenizer.from_pretrained(options.beside)
    sets = {
        "festvox-ru, held out": festvox(options.work / "downloads", only_held_out=True),
        "held-out voices": voices(options.voices),
    }
    systems = {f"{codec.spec.name} ({codec.fingerprint})": codec for codec in (ours, theirs)}
    results: dict[str, dict[str, Any]] = {name: {} for name in sets}
    for name, clips in sets.items():
        for system, codec in systems.items():
            results[name][system] = judged(codec, clips, every=options.every)
            print(name, system, results[name][system], flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    told = report(results, *systems)
    print(told)
    if not options.no_write:
        write_section("mini-hybrid", told)


if __name__ == "__main__":
    main()
