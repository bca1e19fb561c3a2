"""Scenes through a tokenizer: codes of what is heard and of what is wanted, and the sound and score of other codes.

sounding = Sounding(source, stage, panel, runner, data)
heard, wanted = sounding.heard(), sounding.wanted()
sounding.judged("tokens", 0, codes)  # [test scenes, sources, judges, 2]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import permutations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tokaudio.audio import resample, to_channels
from tokaudio.probes.chance import FEWEST_GROUPS
from tokaudio.probes.data.caching import ArrayCache
from tokaudio.probes.data.extraction import Extraction
from tokaudio.probes.evidence import METRICS, Measure, Sums
from tokaudio.probes.generative.judges import RATE, Panel
from tokaudio.probes.generative.scenes import Scene, Sounds
from tokaudio.probes.generative.staging import Stage
from tokaudio.probes.models.inputs import CodeInputs, VectorInputs
from tokaudio.probes.runs import Run, Runner
from tokaudio.tokens import Tokens

Array = NDArray[Any]
NO_CODE = -1
"""Fills codes up, of scenes that are shorter than others."""


@dataclass(frozen=True)
class Sounding:
    """A stage and a tokenizer.

    Attributes:
        source: of the tokenizer.
        stage: scenes.
        panel: judges.
        data: hash of what is trained and tested on.
    """

    source: Extraction
    stage: Stage
    panel: Panel
    data: str
    _made: dict[str, list[Array]] = field(default_factory=dict, repr=False)

    @property
    def tokens_name(self) -> str:
        """What codes depend on beside the sound."""
        return f"{self.source.tokenizer.fingerprint}-{self.source.num_codebooks}"

    def _each(self, what: str, of: Callable[[Sounds], Array], compute: Callable[[Array, int], Array]) -> list[Array]:
        """Return an array for each scene, from the cache or computed."""
        if what not in self._made:
            cache, rows = ArrayCache(self.source.cache, f"{self.tokens_name}-scenes"), list[Array]()
            try:
                for number, scene in enumerate(self.stage.scenes):

                    def made(scene: Scene = scene) -> Array:
                        sounds = _made(scene)
                        return compute(of(sounds), sounds.rate)

                    rows.append(cache.get_or(f"{scene.key}-{what}", made))
                    self.source.listener(f"{what} of scenes", number + 1, len(self.stage.scenes))
            finally:
                cache.flush()
            self._made[what] = rows
        return self._made[what]

    def _codes(self, samples: Array, rate: int) -> Array:
        tokens = self.source.tokenizer.encode(torch.from_numpy(samples), rate, num_codebooks=self.source.num_codebooks)
        found: Array = tokens.codes[0].cpu().numpy().astype(np.int32)
        return found

    def heard(self, *, tables: bool = True) -> CodeInputs:
        """Return codes of what is heard."""
        rows = self._each("heard", lambda sounds: sounds.heard, self._codes)
        return CodeInputs("tokens", rows, self.source.spec.codebook_sizes, self.tables() if tables else None)

    def features(self) -> VectorInputs:
        """Return the tokenizer's vectors of what is heard, before quantization, as many frames as there are codes."""

        def hear(samples: Array, rate: int) -> Array:
            found: Array = self.source.tokenizer.features(torch.from_numpy(samples), rate)[0].cpu().numpy()
            return found.astype(np.float16)

        rows = self._each("features", lambda sounds: sounds.heard, hear)
        counts = [row.shape[1] for row in self.heard().items]
        return VectorInputs("continuous", [_of_length(row, count) for row, count in zip(rows, counts, strict=True)])

    def wanted(self) -> list[CodeInputs]:
        """Return codes of each sound that is wanted."""
        sizes = self.source.spec.codebook_sizes
        found = []
        for place in range(len(self.stage.scenes[0].speakers)):
            rows = self._each(f"wanted {place}", partial(_wanted, place), self._codes)
            found.append(CodeInputs("wanted", rows, sizes))
        return found

    def tables(self) -> Sequence[torch.Tensor] | None:
        """Return the tokenizer's codebooks, if they are of one width."""
        return self.source.codes().tables

    def decoded(self, codes: Array) -> Array:
        """Return the sound `[S]` at 16 kHz of codes `[K, T]`."""
        tokens = Tokens.from_codes(torch.from_numpy(codes.astype(np.int64)), self.source.spec)
        samples = to_channels(self.source.tokenizer.decode(tokens).cpu(), 1)[0][0, 0]
        found: Array = resample(samples, self.source.spec.output_sample_rate, RATE).numpy()
        return found

    def scenes_judged(self, name: str, which: Callable[[Sounds], Sequence[Array]]) -> Run:
        """Return a run that has sounds of the scenes themselves judged, `[test scenes, sources, judges, 2]`."""
        facts = {"purpose": "judged", "inputs": name, "panel": self.panel.identity, "data": self.data}

        def compute() -> Array:
            rows = []
            for scene in self.stage.tested:
                sounds = _made(scene)
                rows.append(self._judged(scene, [_at_rate(one, sounds.rate) for one in which(sounds)]))
            return np.stack(rows)

        return facts, compute

    def codes_judged(
        self,
        name: str,
        seed: int,
        codes: Sequence[Sequence[Array]],
        config: str = "",
        *,
        against: Sequence[Scene] | None = None,
    ) -> Run:
        """Return a run that has the sound of codes judged, `[test scenes, sources, judges, 2]`.

        Args:
            name: of what the codes come from.
            seed: of the run that they come from.
            codes: `[K, T]` of each source of each test scene.
            config: of what made them.
            against: scenes by whose sound and text they are judged; the tested ones themselves if None.
        """
        inputs = f"{name}-{self.tokens_name}"
        facts = {"purpose": "judged", "inputs": inputs, "panel": self.panel.identity, "data": self.data}

        def compute() -> Array:
            pairs = zip(against or self.stage.tested, codes, strict=True)
            return np.stack([self._judged(scene, [self.decoded(one) for one in rows]) for scene, rows in pairs])

        return facts | {"seed": seed, "config": config}, compute

    def _judged(self, scene: Scene, sounds: Sequence[Array]) -> Array:
        made = _made(scene)
        wanted = [_at_rate(one, made.rate) for one in made.wanted]
        ordered = wanted if len(wanted) == 1 else _best_order(wanted, sounds)
        rows = []
        for place, (one, text) in enumerate(zip(sounds, scene.texts, strict=True)):
            reference = ordered[place]
            rows.append(self.panel.judge(reference, one, text))
        order = [next(n for n, one in enumerate(wanted) if one is reference) for reference in ordered]
        found = np.empty((len(wanted), *rows[0].shape))
        found[order] = rows
        return found

    def measured(self, runner: Runner, runs: Sequence[tuple[str, int, Run]]) -> dict[str, dict[str, Measure]]:
        """Return the figures of judging runs, by what was judged (each with its seed) and by metric.

        They are done all at once, and ought to be the last: judges are loaded in the processes that need them.
        """
        judged: dict[str, dict[int, Array]] = {}
        found = runner.run_all([run for _, _, run in runs])
        for (name, seed, _), rows in zip(runs, found, strict=True):
            judged.setdefault(name, {})[seed] = rows
        return {name: self.measures(rows) for name, rows in judged.items()}

    def measures(self, judged: dict[int, Array]) -> dict[str, Measure]:
        """Return all figures of runs by name, each with the speakers whose sounds they are of."""
        tested = self.stage.tested
        owners = [speaker for scene in tested for speaker in scene.speakers]
        if len(set(owners)) < FEWEST_GROUPS:
            # With few speakers, each scene stands for itself.
            owners = [f"{scene.name} {place}" for scene in tested for place in range(len(scene.speakers))]
        groups = sorted(set(owners))
        place = np.array([groups.index(owner) for owner in owners])
        found = {}
        for number, name in enumerate(self.panel.names):
            sums = np.zeros((2, len(judged), len(groups), 1))
            for run, rows in enumerate(judged.values()):
                flat = rows[:, :, number].reshape(-1, 2)
                for side in range(2):
                    sums[side, run, :, 0] = np.bincount(place, flat[:, side], len(groups))
            if name in METRICS and (sums[1].sum(axis=1) > 0).all():
                found[name] = Measure(name, tuple(judged), Sums(tuple(groups), sums[0], sums[1]))
        return found

    def beside(self, references: Mapping[str, Mapping[str, Measure]], measures: Mapping[str, Measure]) -> list[str]:
        """Return the further figures of references in words: results hold those of the main one."""
        told = []
        for name in list(measures)[1:]:
            about = measures[name].about
            each = [
                f"{reference.replace('_', ' ')} {about.scale * figures[name].mean:.2f}"
                for reference, figures in references.items()
                if name in figures
            ]
            told.append(f"{about.title}{f' ({about.unit})' if about.unit else ''}: {', '.join(each)}")
        return told


def filled(rows: Sequence[Array], value: int) -> Array:
    """Return arrays `[..., T]` of unlike length in one `[N, ..., longest]`, filled up with a value.

    Example:
        >>> filled([np.array([1, 2]), np.array([3])], 0).tolist()
        [[1, 2], [3, 0]]
    """
    longest = max(row.shape[-1] for row in rows)
    found = np.full((len(rows), *rows[0].shape[:-1], longest), value, dtype=np.int32)
    for place, row in enumerate(rows):
        found[place, ..., : row.shape[-1]] = row
    return found


def _wanted(place: int, sounds: Sounds) -> Array:
    return sounds.wanted[place]


@lru_cache(maxsize=4)
def _made(scene: Scene) -> Sounds:
    return scene.make()


def _at_rate(samples: Array, rate: int) -> Array:
    found: Array = resample(torch.from_numpy(np.ascontiguousarray(samples)), rate, RATE).numpy()
    return found


def _best_order(wanted: Sequence[Array], sounds: Sequence[Array]) -> list[Array]:
    """Return the wanted sounds in the order of the sounds that they are nearest to by mel distance."""
    from tokaudio.metrics.spectral import mel_distance

    far = np.array([[mel_distance(one, _of_length(sound, one.size), RATE) for one in wanted] for sound in sounds])
    orders = list(permutations(range(len(wanted))))
    best = min(orders, key=lambda order: sum(far[place, other] for place, other in enumerate(order)))
    return [wanted[place] for place in best]


def _of_length(row: Array, count: int) -> Array:
    """Return an array whose last axis is cut or filled up with zeros to `count`."""
    missing = max(0, count - row.shape[-1])
    return np.pad(row, [(0, 0)] * (row.ndim - 1) + [(0, missing)])[..., :count]
