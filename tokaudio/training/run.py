"""A training from a recipe and recordings to a tokenizer, in a folder where it can be stopped and gone on with.

    run = train(read_preset("quick"), recordings, Path("run"))
    Tokenizer.from_pretrained("run/tokenizer")

The folder holds `job.json` (the recipe, and which data), `cache/`, `checkpoint.safetensors`, `log.jsonl`,
`tensorboard/` (where tensorboard is installed), `curves.png` (where matplotlib is), `samples/`, and `tokenizer/`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tokaudio.atomic import atomic_write, output_error
from tokaudio.audio import write_audio
from tokaudio.audio.manifest import Recording
from tokaudio.quantizers.processes import add_up, process_count, process_rank
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokenizers.card import model_card
from tokaudio.tokenizers.pretrained import load_folder
from tokaudio.tokenizers.self_check import write_self_check
from tokaudio.training.batches import Batches, Crops
from tokaudio.training.codec_training import CodecTraining, make_nets
from tokaudio.training.curves import Curves
from tokaudio.training.data import TRAIN, VALIDATION, open_data
from tokaudio.training.labels import read_labels
from tokaudio.training.loop import Cadence, Loop
from tokaudio.training.pool import AudioPool, Clip
from tokaudio.training.recipe import Recipe
from tokaudio.training.resumable import WorkFolder

_SAMPLES = 3
_CADENCE = Cadence()
# Written in this order, so that a folder with a configuration has all the rest.
_FILES = ("model.safetensors", "README.md", "self_check.json", "config.json")


class Listener:
    """Hears how a training goes on; this one does nothing."""

    def failed(self, path: str, line: str) -> None:
        """A recording is broken, and left out."""

    def decoded(self, done: int, total: int) -> None:
        """So many recordings of all are decoded."""

    def started(self, done: int, recipe: Recipe, hours: float) -> None:
        """Training begins after so many steps, on so many hours."""

    def stepped(self, done: int, figures: dict[str, float], hours: float) -> None:
        """So many steps are taken, and so many hours of audio heard; figures are averages, or none between."""


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """What a training came to.

    Attributes:
        done, steps: steps taken, and of the whole schedule.
        hours: of recordings that were trained on.
        figures: averages of the last line of the log.
        usage: share of each codebook that the last steps used.
        mel: validation: log-mel distance of what comes out to what was given; None without validation recordings.
        folder: of the tokenizer; None until it is written.
    """

    done: int
    steps: int
    hours: float
    figures: dict[str, float]
    usage: tuple[float, ...]
    mel: float | None
    folder: Path | None

    @property
    def finished(self) -> bool:
        """Whether all steps are taken."""
        return self.done == self.steps


def train(
    recipe: Recipe,
    recordings: Sequence[Recording],
    folder: Path,
    *,
    workers: int = 0,
    device: torch.device | str = "cpu",
    start_over: bool = False,
    cadence: Cadence = _CADENCE,
    listener: Listener | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> TrainedRun:
    """Train a tokenizer, going on where an earlier call with the same recipe and recordings stopped.

    Args:
        recipe: what to make.
        recordings: the data.
        folder: of the run.
        workers: processes that decode and cut crops, which changes nothing in the result.
        device: where to compute.
        start_over: throw away a run with another recipe or other data, instead of refusing it.
        cadence: how often to log and save.
        listener: hears how it goes on.
        stop: asked between steps; once it says so, all is saved, and the call returns.

    Raises:
        AnalysisError: if labels of phones cannot be read.
        AudioError: if no recording can be read.
        CheckpointError: if the recipe's parts do not go together, or the checkpoint cannot be read.
        OutputError: if the disk takes no more, or another process is at work there.
        RecipeError: if no recording has a label that the recipe wants.
        UnknownNameError: if the recipe names what does not exist.
        ValueError: if the batch cannot be shared by the processes.
        WorkError: if the folder holds a run with another recipe or other data.
    """
    listener, first = listener or Listener(), process_rank() == 0
    labels = read_labels(recordings, recipe.losses.heads)
    nets, choice = make_nets(recipe, labels)
    facts = {**recipe.facts(), "recordings": _listing(recordings)}
    if labels.speakers or labels.phones:
        facts["labels"] = labels.digest()
    with WorkFolder(folder, facts, start_over=start_over) if first else nullcontext():
        pool = _open(recipe, recordings, folder, nets.body.sample_rate, workers=workers, listener=listener)
        length = (
            max(1, round(recipe.data.crop_seconds * pool.sample_rate / nets.body.hop_length)) * nets.body.hop_length
        )
        batches = Batches(
            Crops(pool, recipe.data, length, recipe.seed, labels, nets.body.hop_length),
            recipe.data.batch,
            rank=process_rank(),
            world=process_count(),
            workers=workers,
            fail=listener.failed,
        )
        training = CodecTraining(recipe, nets, choice, batches, device=device)
        loop = Loop(folder, training, recipe.schedule, seed=recipe.seed, cadence=cadence)
        loop.resume()
        hours = sum(clip.length for clip in pool.clips if clip.source == TRAIN) / pool.sample_rate / 3600
        listener.started(loop.done, recipe, hours)
        curves = Curves(folder, loop.done) if first else None

        def tell(done: int, figures: dict[str, float]) -> None:
            if figures and curves:
                curves.add(done, figures | _usage(training))
            listener.stepped(done, figures | (_usage(training) if figures else {}), done * batches.seconds / 3600)

        loop.run(quiet=True, stop=lambda: _any(stop()), tell=tell)
        figures = _last(folder / "log.jsonl")
        usage = tuple(_usage(training).values())
        run = TrainedRun(loop.done, recipe.schedule.steps, hours, figures, usage, None, None)
        if not first:
            return run
        if curves:
            curves.close()
        return _finish(run, training, pool, folder) if training.quantizing else run


def _open(
    recipe: Recipe, recordings: Sequence[Recording], folder: Path, rate: int, *, workers: int, listener: Listener
) -> AudioPool:
    """Return the data; the first process makes the cache, and the others wait for it."""
    cache = folder / "cache"
    pool = None
    if process_rank() == 0:
        fail, tell = listener.failed, listener.decoded
        pool = open_data(recordings, cache, rate, recipe.data, workers=workers, fail=fail, tell=tell)
    _any(False)
    return pool or open_data(recordings, cache, rate, recipe.data)


def _any(wish: bool) -> bool:
    """Return whether any process wishes so; all of them have to ask."""
    return wish if process_count() == 1 else bool(add_up(torch.tensor(float(wish))))


def _usage(training: CodecTraining) -> dict[str, float]:
    books = training.nets.quantizer.usage() if training.quantizing else ()
    return {f"usage_{number}": book.share for number, book in enumerate(books)}


def _listing(recordings: Sequence[Recording]) -> str:
    """Return a digest of names and sizes, by which a run knows its data."""
    digest = hashlib.sha256()
    for one in sorted(recordings, key=lambda one: one.name):
        size = one.path.stat().st_size if one.path.is_file() else -1
        digest.update(json.dumps([one.name, size]).encode())
    return digest.hexdigest()


def _last(log: Path) -> dict[str, float]:
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    return json.loads(lines[-1]) if lines else {}


def _finish(run: TrainedRun, training: CodecTraining, pool: AudioPool, folder: Path) -> TrainedRun:
    """Write the tokenizer and some clips as it makes them, and return what it came to."""
    tokenizer = training.tokenizer()
    clips = [clip for clip in pool.clips if clip.source == VALIDATION and clip.length > pool.sample_rate // 4]
    mel = _validate(tokenizer, training, pool, clips[:50]) if clips else None
    for clip in (clips or pool.clips)[:_SAMPLES]:
        _write_sample(tokenizer, pool, clip, folder / "samples")
    target = folder / "tokenizer"
    save_trained(tokenizer, target, about=_about(run, training.recipe, mel), scratch=folder / ".tokenizer")
    return TrainedRun(run.done, run.steps, run.hours, run.figures, run.usage, mel, target)


def _heard(tokenizer: Tokenizer, sound: Tensor) -> Tensor:
    rate = tokenizer.spec.sample_rate
    return tokenizer.decode(tokenizer.encode(sound, rate)).reshape(-1)[: len(sound)]


def _validate(tokenizer: Tokenizer, training: CodecTraining, pool: AudioPool, clips: Sequence[Clip]) -> float:
    """Return the mean log-mel distance over clips, each heard for ten seconds at most."""
    loss, distances = training.nets.objectives.spectral.cpu(), []
    for clip in clips:
        sound = pool.read(clip, 0, 10 * pool.sample_rate)
        distances.append(float(loss(_heard(tokenizer, sound)[None], sound[None])[1]["mel"]) / len(loss.windows))
    return sum(distances) / len(distances)


def _write_sample(tokenizer: Tokenizer, pool: AudioPool, clip: Clip, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    sound = pool.read(clip, 0, 10 * pool.sample_rate)
    stem = "-".join(Path(clip.id).with_suffix("").parts)
    for name, samples in (("before", sound), ("after", _heard(tokenizer, sound).clamp(-1, 1))):
        write_audio(folder / f"{stem}-{name}.wav", samples[None], pool.sample_rate, overwrite=True)


def _about(run: TrainedRun, recipe: Recipe, mel: float | None) -> str:
    """Return what the card says of the training."""
    usage = ", ".join(f"{100 * share:.0f} %" for share in run.usage)
    lines = [
        "## Training",
        "",
        f"Recipe `{recipe.name}`, seed {recipe.seed}: {run.done:,} of {run.steps:,} steps of {recipe.data.batch} crops "
        f"of {recipe.data.crop_seconds:g} s, from {run.hours:.3g} hours of recordings.",
        f"Codebooks used in the last steps: {usage}.",
        *([f"Log-mel distance on recordings kept out of training: {mel:.3f}."] if mel is not None else []),
        "",
        "```json",
        json.dumps(recipe.facts(), indent=1),
        "```",
    ]
    return "\n".join(lines)


def save_trained(tokenizer: Tokenizer, folder: Path, *, about: str, scratch: Path) -> None:
    """Write a tokenizer's folder with card and self check; a folder that is there is replaced file by file.

    Raises:
        OutputError: if it cannot be written.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    tokenizer.save_pretrained(scratch)
    card = model_card(tokenizer.spec, tokenizer.fingerprint, about)
    atomic_write(scratch / "README.md", card.encode(), overwrite=True)
    write_self_check(load_folder(scratch), scratch)
    try:
        folder.mkdir(exist_ok=True)
        for name in _FILES:
            (scratch / name).replace(folder / name)
    except OSError as error:
        raise output_error(folder, error) from error
    shutil.rmtree(scratch, ignore_errors=True)
