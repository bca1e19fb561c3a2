"""Recipes: everything that decides what a training makes, in one TOML file.

recipe = read_recipe("my-codec.toml")  # or read_preset("quick")

What only decides how fast it goes (threads, workers, device) is not in a recipe.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from tokaudio.errors import TokaudioError, UnknownNameError, one_line
from tokaudio.training.augment import Augmentation
from tokaudio.training.loop import Schedule
from tokaudio.training.losses import SpectralLossWeights
from tokaudio.training.recipe_reader import read_fields, unknown_key

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
    """Pitch, energy and cepstra told from the quantized latents, in the manner of PASE.

    Attributes:
        weight: of their loss; 0 for none.
        hidden: width of a layer between; 0 for linear heads.
        from_step: when they begin.
    """

    weight: float = 0.0
    hidden: int = 0
    from_step: int = 0


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


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    r"""Read a recipe from a TOML file.

    Raises:
        RecipeError: if it cannot be read, or has an unknown key or a value that cannot be; the message names both, and
            the key that was likely meant.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "a.toml")
        ...     _ = file.write_text('body.name = "spectral"\nquantizer.name = "fsq"\nquantizer.levels = [8, 5]')
        ...     read_recipe(file).quantizer
        Part(name='fsq', options={'levels': [8, 5]})
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = f"cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8 text'})"
        raise RecipeError(one_line(path, problem, "give a recipe in TOML, or --preset")) from error
    return parse_recipe(text, os.fspath(path))


def list_presets() -> list[str]:
    """Return the names of the recipes inside the package.

    Example:
        >>> "quick" in list_presets()
        True
    """
    folder = resources.files("tokaudio.training") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_preset(name: str) -> Recipe:
    """Return a recipe of the package.

    Raises:
        UnknownNameError: if there is none of this name.

    Example:
        >>> read_preset("quick").body.name
        'spectral'
    """
    if name not in list_presets():
        raise UnknownNameError(f"no preset is called {name!r}; there are {', '.join(list_presets())}")
    text = (resources.files("tokaudio.training") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return parse_recipe(text, f"{name}.toml")


def parse_recipe(text: str, path: str) -> Recipe:
    """Return the recipe that a TOML text holds; `path` is what messages name.

    Raises:
        RecipeError: as `read_recipe`.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(one_line(path, f"is no TOML ({error})".replace(";", ","), "correct it")) from error
    for key in ("body", "quantizer"):
        if key in tree:
            tree[key] = _part(tree[key], key)
    try:
        recipe: Recipe = read_fields(Recipe, tree)
        _check(recipe)
    except ValueError as error:
        problem, _, remedy = str(error).partition("; ")
        raise RecipeError(one_line(path, problem, remedy or "correct it")) from error
    return recipe


def _part(table: Any, key: str) -> Any:
    """Return `{name, options}` of a table whose other keys are options."""
    if not isinstance(table, dict):
        return table
    return {"name": table.get("name", "spectral" if key == "body" else "rvq")} | {
        "options": {name: value for name, value in table.items() if name != "name"}
    }


def _check(recipe: Recipe) -> None:
    """Raise `ValueError` for what no training can do."""
    from tokaudio.training.bodies import body_class

    if recipe.start_from and recipe.body:
        raise ValueError("start_from brings its own body; leave body out")
    if recipe.weight_norm and not recipe.start_from:
        raise ValueError("weight_norm is of start_from; write it in the table [body]")
    if not recipe.start_from and not (recipe.body and recipe.quantizer):
        missing = "quantizer" if recipe.body else "body"
        raise ValueError(f"has no {missing}; add a table [{missing}] with a name, or start_from")
    if recipe.body:
        known = body_class(recipe.body.name).option_names()
        for option in recipe.body.options:
            if option not in known:
                raise ValueError(unknown_key(f"body.{option}", option, known))
    data, stages = recipe.data, recipe.losses.spectral
    limits = {
        "data.batch": data.batch >= 1,
        "data.crop_seconds": data.crop_seconds > 0,
        "data.validation": 0 <= data.validation < 1,
        "schedule.steps": recipe.schedule.steps >= 1,
        "schedule.peak": recipe.schedule.peak > 0,
        "initial_batches": recipe.initial_batches >= 1,
        "average": 0 <= recipe.average < 1,
        "losses.overlap": recipe.losses.overlap >= 1,
        "losses.spectral": bool(stages) and stages[0].from_step == 0,
    }
    for name, fine in limits.items():
        if not fine:
            raise ValueError(f"{name} is out of range; see docs/training.md")
