"""The command line that stages of the small tokenizers share: train, or export what was trained, in one folder."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from tokaudio.atomic import atomic_write
from tokaudio.tokenizers import SpectralCodec
from tokaudio.tokenizers.card import model_card
from tokaudio.tokenizers.self_check import write_self_check
from tokaudio.training.loop import Loop, Schedule, Trainable
from tokaudio.training.pool import AudioPool
from tokaudio.training.recipes.speech_pool import SOURCE_WEIGHTS


def stage_parser(
    description: str,
    *,
    stages: Sequence[str] = ("train", "export"),
    start: str | None = None,
    results: str | None = None,
    steps: int | None = None,
) -> argparse.ArgumentParser:
    """Return a parser of what all stages take.

    Args:
        description: of the recipe.
        stages: names; the last one exports.
        start: the recipe whose checkpoint the others begin with; None where they begin with nothing.
        results: the benchmark whose figures the exported card tells.
        steps: optimizer steps, where they are not a preset's.

    Example:
        >>> parser = stage_parser("Train it.", start="mini_codec", steps=100)
        >>> parser.parse_args(["train", "--work", "runs", "--start", "run/checkpoint.safetensors"]).steps
        100
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("stage", choices=stages)
    parser.add_argument("--work", type=Path, required=True, help="folder with the pool; the run goes into it")
    parser.add_argument("--pool", type=Path, help="default: WORK/pool")
    parser.add_argument("--out", type=Path, help=f"folder of the exported tokenizer ({stages[-1]})")
    if start is not None:
        parser.add_argument("--start", type=Path, help=f"checkpoint of a run of the recipe {start}")
    if results is not None:
        parser.add_argument("--results", type=Path, help=f"JSON of {results}, for the card ({stages[-1]})")
    parser.add_argument("--steps", type=int, default=steps, help=f"default: {steps or 'those of the preset'}")
    return parser


def parse_stage(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse a command line of `stage_parser`, and ask for the path that its stage needs."""
    options = parser.parse_args(arguments)
    if options.stage == "export":
        if options.out is None:
            parser.error("export needs --out")
    elif "start" in options and options.start is None:
        parser.error(f"{options.stage} needs --start")
    return options


def pool_of(options: argparse.Namespace) -> AudioPool:
    """Return the recordings that a stage hears."""
    return AudioPool(options.pool or options.work / "pool", weights=SOURCE_WEIGHTS)


def results_of(options: argparse.Namespace) -> Any:
    """Return the figures for a card, None where none were given."""
    return json.loads(options.results.read_text(encoding="utf-8")) if options.results else None


def run_stage(run: Path, training: Trainable, schedule: Schedule, pool: AudioPool, *, seed: int) -> None:
    """Train in the folder `run`, from its last checkpoint on."""
    loop = Loop(run, training, schedule, seed=seed)
    print(f"{pool.seconds / 3600:.2f} h of audio; starting at step {loop.resume()}", flush=True)
    loop.run()


def write_codec(codec: SpectralCodec, weights: Mapping[str, Tensor], out: Path, *, about: str = "") -> SpectralCodec:
    """Write weights, rounded to float16, as a tokenizer folder with its card, and return the tokenizer of it."""
    codec.load_state_dict({name: value.half().float() for name, value in weights.items()})
    codec.eval().save_pretrained(out)
    atomic_write(out / "README.md", model_card(codec.spec, codec.fingerprint, about).encode(), overwrite=True)
    write_self_check(codec, out)
    return codec
