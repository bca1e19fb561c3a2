"""Quantizers under one budget: the same small codec, the same speech, the same steps, and another quantizer in it.

    python benchmarks/ablation.py --work WORK [--runs RUNS] [--only ROW ...]

WORK is the folder of `tokaudio.training.recipes.mini_semantic`, with its pool and downloads. An autoencoder is trained
without quantization once; every row goes on from it with its quantizer, hearing the same crops in the same order. Rows
with equal bits per frame stand side by side. RUNS keeps what is trained and the figures of finished rows: stop it
anywhere and start it again. The section of RESULTS.md and `docs/quantizers/ablation.md` are written from the rows there
are.

What is measured took no part in training: sentences of four synthetic voices for the sound, and every tenth sentence of
festvox-ru, whose phones and their times are known, for what codes know about phones.

Needs: `pip install soundfile soxr pystoi pesq`; `apt-get install ffmpeg` for festvox-ru.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import evaluation_sets
import numpy as np
import torch
from ablation_table import DOCS, page, section
from numpy.typing import NDArray
from results import write_section
from torch import Tensor

from tokaudio import Tokenizer
from tokaudio.analysis.statistics.information import evaluate
from tokaudio.atomic import atomic_write
from tokaudio.metrics.intelligibility import stoi
from tokaudio.metrics.spectral import mel_distance
from tokaudio.training.batches import Batches, Crops
from tokaudio.training.bodies import Body
from tokaudio.training.codec_training import CodecTraining, make_nets
from tokaudio.training.loop import Loop, Schedule
from tokaudio.training.losses import SpectralLossWeights
from tokaudio.training.pool import AudioPool
from tokaudio.training.recipe import DataOptions, LossOptions, Part, Recipe, SpectralStage
from tokaudio.training.recipes.speech_pool import SOURCE_WEIGHTS

RATE, HOP, SEED = 16_000, 320, 5
START_STEPS, STEPS = 1_200, 600
BODY = Part("spectral", {"encoder_dim": 160, "encoder_blocks": 2, "decoder_dim": 192, "decoder_blocks": 3})
LOSSES = SpectralLossWeights(mel=1.0, magnitude=8.0, complex=6.0)


@dataclass(frozen=True)
class Row:
    """A quantizer of the table: its name there, what makes it, and what the table says of it."""

    name: str
    quantizer: Part
    says: str


def rows() -> list[Row]:
    """Return all rows: first those of 10 bits per frame, then those of 40.

    Example:
        >>> sorted({len(row.name.split("-")[-1]) for row in rows()})
        [2]
    """
    simvq, lfq, book = {"codebook_size": 1024}, {"bits": 10}, {"codebook_size": 32}
    four = {"num_codebooks": 4}
    told: list[tuple[str, str, dict[str, Any], str]] = [
        ("vq-10", "vq", {"codebook_size": 1024}, "one codebook of 1024, moving averages"),
        ("simvq-10", "simvq", simvq, "SimVQ, 1024"),
        ("fsq-10", "fsq", {"levels": [4] * 5}, "FSQ, five dimensions of 4 levels"),
        ("lfq-10", "lfq", lfq, "LFQ, 10 bits"),
        ("bsq-10", "bsq", lfq, "BSQ, 10 bits"),
        ("rvq-10", "rvq", {"codebook_size": 32, "num_codebooks": 2}, "RVQ, 2 x 32"),
        ("product-10", "product", {"groups": 2, "inner": "vq", "inner_options": book}, "product, 2 x 32"),
        ("rvq-40", "rvq", {"codebook_size": 1024, **four}, "RVQ, 4 x 1024"),
        ("factorized-40", "factorized", {"codebook_size": 1024, **four}, "RVQ, factorised as DAC's, 4 x 1024"),
        ("simvq-40", "residual", {"inner": "simvq", "inner_options": simvq, **four}, "residual SimVQ, 4 x 1024"),
        ("fsq-40", "residual-fsq", {"levels": [4] * 5, **four}, "residual FSQ, 4 times five of 4 levels"),
        ("lfq-40", "residual", {"inner": "lfq", "inner_options": lfq, "shrink": 0.5, **four}, "residual LFQ, 4 x 10"),
        ("bsq-40", "residual", {"inner": "bsq", "inner_options": lfq, "shrink": 0.5, **four}, "residual BSQ, 4 x 10"),
        (
            "product-40",
            "product",
            {"groups": 4, "inner": "vq", "inner_options": {"codebook_size": 1024}},
            "product, 4 x 1024",
        ),
    ]
    return [Row(name, Part(quantizer, options), says) for name, quantizer, options, says in told]


def recipe(quantizer: Part, steps: int, *, quantized: bool) -> Recipe:
    """Return the training of a row, or, not quantized, of the autoencoder that all rows start from."""
    return Recipe(
        name="ablation",
        seed=SEED,
        precision="bfloat16",
        body=BODY,
        quantizer=quantizer,
        data=DataOptions(batch=6, crop_seconds=1.2, validation=0.0),
        losses=LossOptions(spectral=(SpectralStage(**dataclasses.asdict(LOSSES)),)),
        schedule=Schedule(steps, warmup=50, peak=1e-3 if quantized else 2e-3, final=0.05),
        continuous_steps=0 if quantized else steps,
        initial_batches=40,
        average=0.99,
    )


def open_batches(pool: AudioPool, plan: Recipe, first: int = 0) -> Batches:
    """Return the crops of a training; `first` sets them apart from those of another."""
    length = round(plan.data.crop_seconds * RATE / HOP) * HOP
    return Batches(Crops(pool, plan.data, length, plan.seed + first), plan.data.batch)


def trained(plan: Recipe, pool: AudioPool, folder: Path, start: Mapping[str, Tensor] | None) -> CodecTraining:
    """Return a training at its end, going on where an earlier call stopped.

    Args:
        plan: what to train.
        pool: of speech.
        folder: of checkpoint and log.
        start: weights of the body; None to start from scratch.
    """
    nets, choice = make_nets(plan)
    if start is not None:
        nets.body.load_state_dict(start)
    training = CodecTraining(plan, nets, choice, open_batches(pool, plan, int(start is not None)))
    loop = Loop(folder, training, plan.schedule, seed=plan.seed)
    loop.resume()
    loop.run(quiet=True)
    return training


def body_weights(training: CodecTraining) -> dict[str, Tensor]:
    """Return copies of the averaged weights of a training's body."""
    body: Body = training.nets.body
    with training.averaging():
        return {name: value.detach().clone() for name, value in body.state_dict().items()}


def identity(plan: Recipe, pool: AudioPool, start_steps: int) -> str:
    """Return by what a finished row is known again: its recipe, what it starts from, and the speech.

    Example:
        >>> from types import SimpleNamespace
        >>> pool = SimpleNamespace(clips=[1], seconds=3.0)
        >>> one, other = (identity(recipe(BODY, steps, quantized=True), pool, 9) for steps in (1, 2))
        >>> one == other
        False
    """
    facts = {**plan.facts(), "start": start_steps, "clips": len(pool.clips), "seconds": pool.seconds}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class HeldOut:
    """What tokenizers are judged on: sounds `[S]`, and recordings with the phones of their frames."""

    sounds: list[NDArray[np.float32]]
    phones: list[tuple[Tensor, NDArray[np.int64]]]


def held_out(work: Path, voices: Path, *, sounds: int) -> HeldOut:
    """Return sentences of the evaluation voices, and what was held out of festvox-ru."""
    from semantic_quality import festvox

    clips = [clip for clip in evaluation_sets.load_voices(voices) if clip.task == "read"]
    labelled = festvox(work / "downloads", only_held_out=True)
    few = evaluation_sets.every_nth(clips, sounds)
    return HeldOut([clip.audio for clip in few], [(clip.samples, clip.phones) for clip in labelled])


def judged(codec: Tokenizer, heard: HeldOut) -> dict[str, Any]:
    """Return the figures of a tokenizer."""
    from pesq import pesq

    mel, clear, quality = [], [], []
    codes = []
    for sound in heard.sounds:
        tokens = codec.encode(torch.from_numpy(sound), RATE)
        made = codec.decode(tokens)[0, 0, : len(sound)].numpy()
        codes.append(tokens.codes[0].numpy())
        mel.append(mel_distance(sound, made, RATE))
        clear.append(stoi(sound, made, RATE))
        quality.append(pesq(RATE, sound, made, "wb"))
    known, labels = [], []
    for samples, phones in heard.phones:
        found = codec.encode(samples, RATE).codes[0].numpy()
        count = min(found.shape[1], len(phones))
        known.append(found[:, :count])
        labels.append(phones[:count])
    told, phone = np.concatenate(known, axis=1), np.concatenate(labels)
    sizes = codec.spec.codebook_sizes
    use = usage(np.concatenate([*codes, told], axis=1), sizes)
    about = [evaluate(row, phone) for row in (*told, *together(told, sizes))]
    return {
        "bits": sum(math.log2(size) for size in sizes),
        "mel": float(np.mean(mel)),
        "stoi": float(np.mean(clear)),
        "pesq": float(np.mean(quality)),
        "used": [share for share, _ in use],
        "entropy": [bits for _, bits in use],
        "pnmi": [row.pnmi for row in about],
        # Of one codebook after the other, and then, where that can be counted, of all together.
        "phones": [row.share for row in about],
    }


def together(codes: NDArray[np.int64], sizes: Sequence[int], most: int = 4_096) -> list[NDArray[np.int64]]:
    """Return all codes `[K, N]` of a frame as one `[N]`, unless there would be more than `most` of them.

    Example:
        >>> together(np.array([[0, 1], [2, 0]]), [2, 3])
        [array([4, 1])]
    """
    if math.prod(sizes) > most:
        return []
    radix = [math.prod(sizes[:place]) for place in range(len(sizes))]
    return [(codes * np.array(radix)[:, None]).sum(0)]


def usage(codes: NDArray[np.int64], sizes: Sequence[int]) -> list[tuple[float, float]]:
    """Return per codebook the share of its codes that occur, and their entropy in bits.

    Args:
        codes: `[K, N]`.
        sizes: V of each.

    Example:
        >>> usage(np.array([[0, 1, 0, 1]]), [4])
        [(0.5, 1.0)]
    """
    found = []
    for row, size in zip(codes, sizes, strict=True):
        counts = np.bincount(row, minlength=size)
        shares = counts[counts > 0] / counts.sum()
        found.append((float((counts > 0).mean()), max(0.0, -float(shares @ np.log2(shares)))))
    return found


def finished(path: Path, key: str) -> dict[str, Any] | None:
    """Return the figures of a finished row; None where there are none, or they are of another training.

    Example:
        >>> finished(Path("no such file"), "a") is None
        True
    """
    if not path.is_file():
        return None
    row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return row if row.pop("key", "") == key else None


def measure(row: Row, pool: AudioPool, runs: Path, start: Mapping[str, Tensor], heard: HeldOut) -> dict[str, Any]:
    """Return the figures of a row, trained and judged unless it is finished."""
    plan = recipe(row.quantizer, STEPS, quantized=True)
    key = identity(plan, pool, START_STEPS)
    path = runs / row.name / f"figures-{key}.json"
    if (known := finished(path, key)) is not None:
        return known
    training = trained(plan, pool, runs / row.name / key, start)
    figures = judged(training.tokenizer(), heard) | {"says": row.says}
    atomic_write(path, json.dumps({"key": key, **figures}, indent=1).encode(), overwrite=True)
    return figures


def main() -> None:
    """Train and judge the rows that are missing, and write the tables."""
    parser = argparse.ArgumentParser(description="Quantizers under one budget.")
    parser.add_argument("--work", type=Path, required=True, help="folder of the recipe of mini-semantic")
    parser.add_argument("--runs", type=Path, help="what is trained (default: WORK/ablation)")
    parser.add_argument("--voices", type=Path, default=evaluation_sets.DEFAULT_VOICES)
    parser.add_argument("--only", nargs="+", metavar="ROW", help=f"of {', '.join(row.name for row in rows())}")
    parser.add_argument("--sounds", type=int, default=48, help="sentences that are judged by their sound")
    parser.add_argument("--no-write", action="store_true", help="leave RESULTS.md and docs as they are")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pool = AudioPool(options.work / "pool", weights=SOURCE_WEIGHTS)
    runs = options.runs or options.work / "ablation"
    wanted = [row for row in rows() if not options.only or row.name in options.only]
    # Until it quantizes, a training is the same whatever its quantizer is.
    plan = recipe(rows()[0].quantizer, START_STEPS, quantized=False)
    start = body_weights(trained(plan, pool, runs / "start" / identity(plan, pool, 0), None))
    heard = held_out(options.work, options.voices, sounds=options.sounds)
    figures = {}
    for row in wanted:
        figures[row.name] = measure(row, pool, runs, start, heard)
        print(row.name, {name: value for name, value in figures[row.name].items() if name != "says"}, flush=True)
    if not options.no_write:
        told = section(figures, hours=pool.seconds / 3600, start=START_STEPS, steps=STEPS, crops=plan.data)
        write_section("ablation", told)
        atomic_write(DOCS, page(told).encode(), overwrite=True)


if __name__ == "__main__":
    main()
