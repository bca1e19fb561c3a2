"""What is left of other sound in tokens made for speech? `python benchmarks/universal.py --work FOLDER`.

The shipped tokenizers, all trained on speech, code speech, music and other sounds (`sound_kinds`). How far is the
decoded sound from the original, beside Opus, which was trained on nothing; how many codes are used; and what does
one linear probe read from the vectors of codes: words of voices never heard, kinds of sounds, guitar or the rest of the
band in songs never heard?

Needs: the extra `bench`, the voices set, `opus-tools`, `ffmpeg`, and a Debian package index; packages go to FOLDER.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from codecs_classical import opus
from evaluation_sets import DEFAULT_VOICES
from keywords import load_clips, wilson
from numpy.typing import NDArray
from results import machine_line, write_section
from sound_kinds import KINDS, RATE, Sound, clips, pieces, samples_by_kind
from torch import Tensor

from tokaudio import Tokenizer
from tokaudio.metrics.spectral import mel_distance, mel_spectrogram
from tokaudio.training.recipes.speech_pool import read_16k

TOKENIZERS = ("mini-codec", "mini-hybrid", "mini-bands", "mini-semantic")
PARTS = 4
Floats = NDArray[np.float64]
Vectors = Callable[[Tensor], NDArray[np.float32]]


def mean_and_interval(values: Sequence[float]) -> str:
    """Return the mean and its 95 % interval over clips.

    Example:
        >>> mean_and_interval([0.1, 0.2, 0.3])
        '0.200 (0.087 to 0.313)'
    """
    mean, error = float(np.mean(values)), 1.96 * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return f"{mean:.3f} ({mean - error:.3f} to {mean + error:.3f})"


def perplexity(codes: NDArray[np.int64]) -> float:
    """Return how many equally frequent codes there would be.

    Example:
        >>> perplexity(np.array([3, 3, 5, 5]))
        2.0
    """
    shares = np.bincount(codes) / len(codes)
    shares = shares[shares > 0]
    return float(np.exp2(-(shares @ np.log2(shares))))


def distances(kinds: Mapping[str, Sequence[Tensor]], frames: int) -> list[str]:
    """Return rows: mel distance of each system for each kind of sound, and the perplexity of its first codebook."""
    rows = []
    for name in TOKENIZERS:
        tokenizer = Tokenizer.from_pretrained(name)
        found, used = [], []
        for sounds in kinds.values():
            all_tokens = [tokenizer.encode(samples, RATE) for samples in sounds]
            decoded = [tokenizer.decode(tokens)[0, 0].numpy() for tokens in all_tokens]
            pairs = zip(sounds, decoded, strict=True)
            found.append([mel_distance(before.numpy(), after, RATE) for before, after in pairs])
            first = np.concatenate([tokens.codes[0, 0].numpy() for tokens in all_tokens])
            # As many frames of each kind: perplexity grows with their number.
            used.append(perplexity(np.random.default_rng(0).choice(first, frames, replace=False)))
        title = f"{name}, {tokenizer.spec.bitrate_kbps:.3g} kbit/s"
        cells = [f"{mean_and_interval(far)}, {codes:.0f}" for far, codes in zip(found, used, strict=True)]
        rows.append(f"| {title} | {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    far = [[mel_distance(one.numpy(), opus(one.numpy()).audio, RATE) for one in sounds] for sounds in kinds.values()]
    rows.append(f"| Opus, 6 kbit/s | {' | '.join(map(mean_and_interval, far))} |")
    return rows


def vectors_of() -> dict[str, Vectors]:
    """Return what the probe reads: the mean of a clip's vectors in each of its parts, and their spread."""

    def pooled(frames: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = np.array_split(frames, PARTS) if len(frames) >= PARTS else [frames] * PARTS
        return np.concatenate([*(part.mean(0) for part in parts), frames.std(0)])

    def of(name: str) -> Vectors:
        tokenizer = Tokenizer.from_pretrained(name)
        return lambda samples: pooled(tokenizer.embed(tokenizer.encode(samples, RATE))[0].T.numpy())

    def log_mel(samples: Tensor) -> NDArray[np.float32]:
        return pooled(np.log10(mel_spectrogram(samples.numpy(), RATE, hop_length=320) + 1e-5).T.astype(np.float32))

    return {name: of(name) for name in TOKENIZERS} | {"log mel": log_mel}


def read(train: Floats, labels: Sequence[str], test: Floats) -> NDArray[np.str_]:
    """Return what a linear probe reads: scikit-learn's logistic regression on features of equal spread."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(train, np.asarray(labels))
    guessed: NDArray[np.str_] = model.predict(test)
    return guessed


def in_turn(sounds: Sequence[Sound], groups: Sequence[object], vectors: Floats) -> NDArray[np.bool_]:
    """Return of which clips a probe reads the label that has learnt from the clips of all other groups."""
    labels, marks = np.array([sound.label for sound in sounds]), np.array(groups)
    right = np.zeros(len(sounds), dtype=bool)
    for mark in np.unique(marks):
        out = marks == mark
        right[out] = read(vectors[~out], list(labels[~out]), vectors[out]) == labels[out]
    return right


def probes(work: Path, voices: Path) -> list[str]:
    """Return rows: what the probe reads from each tokenizer's codes, and what always saying the same would get."""
    words, kinds, band = load_clips(voices), samples_by_kind(work), pieces(work, seconds=2.0)
    sounds = [
        [
            Sound(torch.from_numpy(read_16k(clip.path)), clip.word, "eval" if clip.held_out else "train")
            for clip in words
        ],
        kinds,
        band,
    ]
    rows = []
    for name, vectors in vectors_of().items():
        spoken, tens, songs = (np.stack([vectors(sound.samples) for sound in group]) for group in sounds)
        out = np.array([clip.held_out for clip in words])
        said = np.array([clip.word for clip in words])
        right = [read(spoken[~out], list(said[~out]), spoken[out]) == said[out]]
        # Ten parts, drawn anew by the seed, so that each sample is read once from the others.
        right.append(in_turn(kinds, np.random.default_rng(0).permutation(len(kinds)) % 10, tens))
        right.append(in_turn(band, [sound.source for sound in band], songs))
        rows.append(f"| {name} | {' | '.join(share(one) for one in right)} |")
        print(rows[-1], flush=True)
    most = [max(np.unique([sound.label for sound in group], return_counts=True)[1]) / len(group) for group in sounds]
    return [*rows, f"| always the same answer | {' | '.join(f'{100 * one:.1f}' for one in most)} |"]


def share(right: NDArray[np.bool_]) -> str:
    """Return the share of right answers in percent, and its interval (Wilson).

    Example:
        >>> share(np.array([True] * 95 + [False] * 5))
        '95.0 (88.8 to 97.8)'
    """
    low, high = wilson(int(right.sum()), len(right))
    return f"{100 * right.mean():.1f} ({100 * low:.1f} to {100 * high:.1f})"


def section(far: Sequence[str], told: Sequence[str], limit: int, frames: int) -> str:
    """Return the section of RESULTS.md."""
    return "\n".join(
        [
            "## Tokens made for speech, and other sound",
            "",
            machine_line(("torch", "scikit-learn"), threads=1),
            f"{limit} clips of each kind, of 1.5 to 9 s. Mel distance of the decoded sound from the original at 16 kHz "
            "(less is better) with its 95 % interval over clips, and behind it the perplexity of the first codebook, "
            f"over {frames:,} frames. The decoder of mini-semantic makes speech of another voice, so that its distance "
            "says little.",
            "",
            f"| system | {' | '.join(KINDS)} |",
            "|---|---:|---:|---:|---:|",
            *far,
            "",
            "What one linear probe reads from the vectors of codes (their means in four parts of the clip, and their "
            "spread), right answers in percent with 95 % intervals over clips (Wilson): 20 words by 4 voices never "
            "heard; 9 kinds of sounds, in tenfold turns; guitar or the rest of the band in 2 s of a song never heard.",
            "",
            "| vectors | words | kinds of sounds | guitar or band |",
            "|---|---:|---:|---:|",
            *told,
        ]
    )


def main() -> int:
    """Measure, and write the section."""
    parser = argparse.ArgumentParser(description="Code speech, music and other sounds with tokens made for speech.")
    parser.add_argument("--work", type=Path, required=True, help="folder for packages")
    parser.add_argument("--voices", type=Path, default=DEFAULT_VOICES, help="folder of the voices set")
    parser.add_argument("--limit", type=int, default=40, help="clips of each kind")
    parser.add_argument("--dry-run", action="store_true", help="print, but do not write RESULTS.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kinds = clips(options.work, options.voices, options.limit)
    frames = min(sum(len(one) // 320 for one in sounds) for sounds in kinds.values()) // 100 * 100
    body = section(distances(kinds, frames), probes(options.work, options.voices), options.limit, frames)
    print(body)
    if not options.dry_run:
        write_section("universal", body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
