"""Whether the codebooks of `mini-bands` act where they say: their attribution to frequency bands, and the sound.

    python benchmarks/mini_bands.py [--tokenizer NAME] [--beside NAME]

Sentences of the four evaluation voices, which took no part in training. The codes of one codebook are shuffled over the
frames of each sentence; of what that changes in the sound, the share of the energy in the codebook's own band is
counted. Beside it stands a tokenizer whose codebooks were not made for bands, in the same bands.

Needs: `pip install soundfile soxr pystoi pesq`.
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
from numpy.typing import NDArray
from results import machine_line, write_section

from tokaudio import Tokenizer
from tokaudio.analysis.decoding.bands import band_attribution
from tokaudio.metrics.intelligibility import stoi
from tokaudio.metrics.spectral import mel_distance
from tokaudio.tokenizers.banded_codec import BandedCodec

RATE = evaluation_sets.SAMPLE_RATE
Bands = Sequence[tuple[float, float]]


def judged(codec: Tokenizer, sounds: Sequence[NDArray[np.float32]], bands: Bands) -> dict[str, Any]:
    """Return the figures of a tokenizer: attribution `[K, bands]`, use of codebooks, and of the sound."""
    from pesq import pesq

    tokens = codec.encode([torch.from_numpy(sound) for sound in sounds], RATE)
    made = [codec.decode(item)[0, 0, : len(sound)].numpy() for item, sound in zip(tokens, sounds, strict=True)]
    pairs = list(zip(sounds, made, strict=True))
    codes = np.concatenate([item.codes[0].numpy() for item in tokens], axis=1)
    return {
        "shares": band_attribution(codec, tokens, bands).tolist(),
        "used": [share for share, _ in usage(codes, codec.spec.codebook_sizes)],
        "frames": codes.shape[1],
        "mel": float(np.mean([mel_distance(*pair, RATE) for pair in pairs])),
        "stoi": float(np.mean([stoi(*pair, RATE) for pair in pairs])),
        "pesq": float(np.mean([pesq(RATE, *pair, "wb") for pair in pairs])),
    }


def report(results: Mapping[str, Mapping[str, Any]], bands: Bands, sounds: int) -> str:
    """Return the section in Markdown; `results` by system, the banded one first.

    Example:
        >>> row = {"shares": [[0.9, 0.1], [0.2, 0.8]], "used": [1.0, 0.9], "frames": 99, "mel": 0.2, "stoi": 0.9,
        ...        "pesq": 2.0}
        >>> print(report({"a": row}, [(0, 250), (250, 8_000)], 4).splitlines()[-5])
        | 2 | 250 to 8000 Hz | 80.0 % |
    """
    lines = [
        "## Where the codebooks of mini-bands act",
        "",
        machine_line(("torch", "pystoi", "pesq"), threads=1),
        "",
        f"{sounds} sentences of four voices that took no part in training. Share of what shuffling a codebook's codes "
        "changes, by energy, in the band of that number.",
        "",
        f"| codebook | band | {' | '.join(results)} |",
        "|---|---|" + "---:|" * len(results),
    ]
    for number, (low, high) in enumerate(bands):
        shares = " | ".join(f"{100 * row['shares'][number][number]:.1f} %" for row in results.values())
        lines.append(f"| {number + 1} | {low:.0f} to {high:.0f} Hz | {shares} |")
    lines += [
        "",
        "| system, all codebooks | mel distance | STOI | PESQ-wb | least used codebook |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, row in results.items():
        used = f"{100 * min(row['used']):.0f} %"
        lines.append(f"| {name} | {row['mel']:.4f} | {row['stoi']:.3f} | {row['pesq']:.2f} | {used} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description="Attribution of the codebooks of mini-bands to their bands.")
    parser.add_argument("--voices", type=Path, default=evaluation_sets.DEFAULT_VOICES)
    parser.add_argument("--tokenizer", default="mini-bands", help="name or folder")
    parser.add_argument("--beside", default="mini-codec", help="name or folder")
    parser.add_argument("--sounds", type=int, default=48, help="sentences")
    parser.add_argument("--json", type=Path, help="also write the figures here, for the model card")
    parser.add_argument("--no-write", action="store_true", help="leave RESULTS.md as it is")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ours, theirs = Tokenizer.from_pretrained(options.tokenizer), Tokenizer.from_pretrained(options.beside)
    if not isinstance(ours, BandedCodec):
        parser.error(f"{options.tokenizer} has no bands")
    bands = [ours.band_of(number) for number in range(ours.spec.num_codebooks)]
    clips = [clip for clip in evaluation_sets.load_voices(options.voices) if clip.task == "read"]
    sounds = [clip.audio for clip in evaluation_sets.every_nth(clips, options.sounds)]
    results = {f"{codec.spec.name} ({codec.fingerprint})": judged(codec, sounds, bands) for codec in (ours, theirs)}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    told = report(results, bands, len(sounds))
    print(told)
    if not options.no_write:
        write_section("mini-bands", told)


if __name__ == "__main__":
    main()
