"""Recipes: everything that decides what a training makes.

What only decides how fast it goes (threads, workers, device) is not in a recipe.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from tokaudio.errors import TokaudioError
from tokaudio.training.augment import Augmentation
from tokaudio.training.loop import Schedule
from tokaudio.training.losses import SpectralLossWeights

_PLAIN, _SCHEDULE = Augmentation(), Schedule(16_000)


class RecipeError(TokaudioError, ValueError):
    """A recipe that cannot be read, or asks for what cannot be."""


@dataclass(frozen=True, slots=True)
class Part:
    """A body or quantizer: its name, and its options."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DataOptions:
    """What is heard.

    Attributes:
        batch: crops per step, of all processes together.
        crop_seconds: length of a crop, rounded to whole frames.
        validation: share of the recordings that are kept out of training, drawn by their names.
        cache_hours: recordings of up to so many hours are decoded once, into 16-bit samples on disk; longer ones are
            read from their files again and again.
        augmentation: random changes.
    """

    batch: int = 8
    crop_seconds: float = 1.6
    validation: float = 0.02
    cache_hours: float = 20.0
    augmentation: Augmentation = _PLAIN


@dataclass(frozen=True, slots=True)
class SpectralStage(SpectralLossWeights):
    """Weights of the spectral losses from a step on, until a later stage begins."""

    from_step: int = 0


@dataclass(frozen=True, slots=True)
class AdversarialOptions:
    """Discriminators, from a step on.

    Attributes:
        weight: of the adversarial loss; 0 for no discriminators.
        features: weight of feature matching.
        from_step: when they begin.
        sizes: `small` for 16 kHz speech, or `full`, as in the papers.
        every: they learn at every so-many-th step.
        rate: their learning rate as a share of the codec's.
        balanced: whether weights are shares of the gradient (EnCodec's balancer), that of `spectral` included.
        spectral: share of the spectral loss where balanced.
    """

    weight: float = 0.0
    features: float = 2.0
    from_step: int = 0
    sizes: Literal["small", "full"] = "small"
    every: int = 1
    rate: float = 1.0
    balanced: bool = False
    spectral: float = 3.0


@dataclass(frozen=True, slots=True)
class SemanticOptions:
    """Distillation of a semantic model into the first codebook.

    Attributes:
        weight: of the loss; 0 for none.
        teacher: a speech model, as `load_backbone` knows it, or `tokenizer:NAME`.
        layers: of the speech model, whose mean is taught.
        kind: `time` as in SpeechTokenizer, `frame` as in Mimi.
        from_step: when it begins.
    """

    weight: float = 0.0
    teacher: str = "whisper-tiny.en"
    layers: tuple[int, ...] = (-1,)
    kind: Literal["time", "frame"] = "time"
    from_step: int = 0


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """Pitch, energy and cepstra told from the quantized latents, in the manner of PASE; phones and speakers by labels.

    Attributes:
        weight: of their loss; 0 for none.
        hidden: width of a layer between; 0 for linear heads.
        from_step: when they begin.
        phones: column of the manifest with the path of a recording's `.lab` file; empty for no such head.
        speakers: column of the manifest that says who speaks; empty for no such head.
    """

    weight: float = 0.0
    hidden: int = 0
    from_step: int = 0
    phones: str = ""
    speakers: str = ""


@dataclass(frozen=True, slots=True)
class LossOptions:
    """What a good codec is.

    Attributes:
        windows: of the spectra that are compared, in samples.
        complex_windows: of those whose phases are compared too.
        overlap: windows that hear each sample.
        spectral: stages, in order; the first from step 0.
        commitment: weight of what the quantizer asks for.
        adversarial, semantic, heads: off unless they have a weight.
    """

    windows: tuple[int, ...] = (320, 640, 1280)
    complex_windows: tuple[int, ...] = (640,)
    overlap: int = 4
    spectral: tuple[SpectralStage, ...] = (SpectralStage(),)
    commitment: float = 1.0
    adversarial: AdversarialOptions = AdversarialOptions()
    semantic: SemanticOptions = SemanticOptions()
    heads: HeadOptions = HeadOptions()

    def weights_at(self, step: int) -> SpectralLossWeights:
        """Return the weights of the spectral losses at a step."""
        return [stage for stage in self.spectral if stage.from_step <= step][-1]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what a training makes.

    Attributes:
        name, licence: of the tokenizer.
        seed: of everything random.
        precision: of the networks; quantizer and losses are always in float32.
        start_from: a tokenizer whose weights are trained on, by name or folder; then body and, unless it is to be a
            new one, quantizer are left out.
        weight_norm: with `start_from`, whether the convolutions of a SEANet or DAC learn as direction and length, as
            the published ones did; what is saved has plain weights all the same.
        body, quantizer: which, with their options.
        data, losses, schedule: see there.
        continuous_steps: first steps without quantization; then codebooks are set by k-means over fresh latents.
        initial_batches: batches whose latents k-means sees.
        average: decay of the averaged weights, which are what is kept.
        clip_norm: gradients are scaled down to this norm.
    """

    name: str = "my-codec"
    licence: str = ""
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    start_from: str = ""
    weight_norm: bool = False
    body: Part | None = None
    quantizer: Part | None = None
    data: DataOptions = DataOptions()
    losses: LossOptions = LossOptions()
    schedule: Schedule = _SCHEDULE
    continuous_steps: int = 600
    initial_batches: int = 24
    average: float = 0.999
    clip_norm: float = 5.0

    def facts(self) -> dict[str, Any]:
        """Return all fields by dotted name, as one line of each.

        Example:
            >>> Recipe().facts()["data.batch"]
            8
        """
        return flat(dataclasses.asdict(self))


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested dictionaries by dotted name.

    Example:
        >>> flat({"a": {"b": 1}, "c": [2]})
        {'a.b': 1, 'c': [2]}
    """
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {f"{prefix}{name}": value}
    return found
