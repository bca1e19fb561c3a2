"""Token language model: how many bits a small language model needs for a second of audio, by speakers it never heard.

A causal transformer over frames; within a frame, each codebook's code is predicted from the frames before and from the
codes of the codebooks before it, so that what is added up is the likelihood of all codes. Bits per token cannot be
compared between tokenizers (arXiv:2601.06329), bits per second can be, as long as one remembers that a tokenizer which
keeps less of the sound needs fewer. Repeated codes of slow codebooks cost nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from tokaudio.audio.manifest import Recording
from tokaudio.probes import PROBE_VERSION
from tokaudio.probes.data.extraction import Extraction
from tokaudio.probes.data.splits import official_split, require_disjoint, split_by
from tokaudio.probes.evidence import Measure, Sums
from tokaudio.probes.models.classifying import WIDTH, ProbeConfig, Split
from tokaudio.probes.models.fitting import FitBudget, bucketed, fit, seeded
from tokaudio.probes.models.inputs import CodeInputs
from tokaudio.probes.models.sequence_bodies import frame_mask
from tokaudio.probes.models.token_features import TokenFeatures
from tokaudio.probes.results import TaskResult
from tokaudio.probes.runs import Runner
from tokaudio.probes.tasks.base import Task, TaskOptions, data_hash
from tokaudio.probes.tasks.readings import Readings

Floats = NDArray[np.float64]


class TokenModel(nn.Module):
    """A causal transformer over frames of codes, and a chain over the codebooks of each.

    Args:
        sizes: of the codebooks `[K]`.
        width: of everything within.
        layers: of the transformer.
        heads: of attention.

    Shape:
        input: codes `[B, K, T]` and lengths `[B]`; output: `-log p` of each code in nats `[B, K, T]`, 0 beyond lengths.

    Example:
        >>> model = TokenModel([4, 8])
        >>> model(torch.zeros(1, 2, 5, dtype=torch.int64), torch.tensor([3])).shape
        torch.Size([1, 2, 5])
    """

    def __init__(self, sizes: Sequence[int], *, width: int = WIDTH, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.features = TokenFeatures(sizes, width=width)
        # As large as other weights: the sum over codebooks goes into the transformer.
        nn.init.normal_(self.features.vectors.weight, std=0.1)
        self.start = nn.Parameter(torch.zeros(1, 1, width))
        self.near = nn.Conv1d(width, width, 3)
        block = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.1, "gelu", batch_first=True, norm_first=True)
        self.past = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.outs = nn.ModuleList(nn.Linear(width, size) for size in sizes)

    def forward(self, codes: Tensor, lengths: Tensor) -> Tensor:
        """Return `-log p` of each code `[B, K, T]`."""
        vectors = self.features(codes)
        frames = vectors.sum(dim=2)
        before = torch.cat([self.start.expand(len(frames), 1, -1), frames[:, :-1]], dim=1)
        # Three frames back tell where one is; attention alone knows no order.
        near = self.near(F.pad(before.transpose(1, 2), (2, 0))).transpose(1, 2)
        causal = nn.Transformer.generate_square_subsequent_mask(codes.shape[2])
        hidden = self.norm(self.past(before + near, mask=causal, is_causal=True))
        mask = frame_mask(frames, lengths)[..., 0]
        found = []
        for k, out in enumerate(self.outs):
            scores = out(hidden).transpose(1, 2)
            found.append(F.cross_entropy(scores, codes[:, k], reduction="none") * mask)
            hidden = hidden + vectors[:, :, k]
        return torch.stack(found, dim=1)


@dataclass(frozen=True)
class LanguageModel(Task):
    """The task; see the module.

    Attributes:
        name: short, by which it is asked for.
        title: for people.
        axis: one of [`AXES`][tokaudio.probes.results.AXES].
        needs: what manifests must say of a recording.
        budget: how long the model may learn.
    """

    name: str = "lm"
    title: str = "token language model"
    axis: str = "language_model"
    needs: str = "a column speaker"
    budget: FitBudget = field(default_factory=lambda: FitBudget(epochs=15, patience=3, batch_items=16))

    def takes(self, recording: Recording) -> bool:
        """Return whether it is known who speaks."""
        return recording.speaker is not None

    def runs(self, options: TaskOptions) -> int:
        """Return how many runs there are to do."""
        return len(options.seeds) + 1

    def run(self, source: Extraction, options: TaskOptions, runner: Runner) -> TaskResult:
        """Score a tokenizer; see [`Task.run`][tokaudio.probes.tasks.base.Task.run]."""
        started = time.monotonic()
        chosen = self.select(source.recordings)
        speakers = [str(one.speaker) for one in source.recordings]
        splits = {seed: self._split(source, chosen, seed) for seed in options.seeds}
        first = splits[options.seeds[0]]
        require_disjoint(first, speakers, source.contents, source.prints, [one.name for one in source.recordings])
        tested = set(first.test)
        data = data_hash([[source.contents[one], speakers[one], str(one in tested)] for one in chosen])
        readings = Readings(source, options, runner, ProbeConfig("transformer", budget=self.budget), data)
        bits = self._all_bits(readings, splits)
        owners = [speakers[number] for number in first.test]
        seconds = np.array([source.seconds[number] for number in first.test])
        measures = {name: _measure(rows, owners, seconds) for name, rows in bits.items()}
        return TaskResult(
            task=self.name,
            axis=self.axis,
            corpus=options.corpus,
            probe="transformer",
            probe_version=PROBE_VERSION,
            measure=measures.pop("tokens"),
            references=measures,
            sizes={"train": len(first.train), "valid": len(first.valid), "test": len(first.test)},
            data_hash=data,
            seconds=time.monotonic() - started,
            notes=(f"nominal rate {source.spec.bitrate_bps:.0f} bit/s", *readings.note(len(bits["tokens"]))),
        )

    def _split(self, source: Extraction, chosen: Sequence[int], seed: int) -> Split:
        recordings = [source.recordings[number] for number in chosen]
        found = official_split([one.facts.get("split") for one in recordings])
        if found is None:
            fold = [one.facts.get("fold") for one in recordings]
            test = (lambda number: fold[number] == "test") if "test" in fold else None
            found = split_by([str(one.speaker) for one in recordings], seed=seed, test=test)
        return Split(*([chosen[place] for place in side] for side in found))

    def _all_bits(self, readings: Readings, splits: dict[int, Split]) -> dict[str, dict[int, Floats]]:
        """Return the bits that each test clip takes, of tokens by seed, and of random tokens with the first seed."""
        source, seeds = readings.source, list(splits)
        inputs = {"tokens": source.codes(), "random_tokens": source.random()}
        bits: dict[str, dict[int, Floats]] = {name: {} for name in inputs}

        def do(places: Sequence[tuple[str, int]]) -> None:
            runs = [
                (
                    readings.facts(inputs[name], seed, "plain"),
                    partial(self._bits, source, inputs[name], splits[seed], seed),
                )
                for name, seed in places
            ]
            for (name, seed), found in zip(places, readings.runner.run_all(runs), strict=True):
                bits[name][seed] = found

        do([("tokens", seeds[0]), ("random_tokens", seeds[0])])
        for some in readings.runner.in_time(seeds[1:]):
            do([("tokens", seed) for seed in some])
        return bits

    def _bits(self, source: Extraction, inputs: CodeInputs, split: Split, seed: int) -> Floats:
        """Fit a model, and return the bits that each test clip takes `[N]`."""
        strides = torch.tensor([codebook.stride for codebook in source.spec.codebooks])
        with seeded(seed):
            model = TokenModel(inputs.sizes)

            def nats(some: Sequence[int]) -> Tensor:
                codes, lengths = inputs.batch(some)
                fresh = torch.arange(codes.shape[2]) % strides[:, None] == 0
                return (model(codes, lengths) * fresh).sum(dim=(1, 2))

            def losses(some: Sequence[int]) -> Tensor:
                return nats(some) / sum(max(1, inputs.frames(number)) for number in some) * len(some)

            fit(model, losses, split.train, split.valid, frames=inputs.frames, budget=self.budget, seed=seed)
            found: dict[int, float] = {}
            with torch.no_grad():
                for batch in bucketed(list(split.test), inputs.frames, batch_items=32, random=None):
                    found |= dict(zip(batch, (nats(batch) / math.log(2)).tolist(), strict=True))
        return np.array([found[number] for number in split.test])


def _measure(bits: dict[int, Floats], owners: Sequence[str], seconds: Floats) -> Measure:
    groups = sorted(set(owners))
    place = np.array([groups.index(owner) for owner in owners])
    above = np.stack([np.bincount(place, row, len(groups)).astype(np.float64) for row in bits.values()])[..., None]
    below = np.broadcast_to(np.bincount(place, seconds, len(groups)).astype(np.float64)[None, :, None], above.shape)
    return Measure("bits_per_second", tuple(bits), Sums(tuple(groups), above, below))


TASK = LanguageModel()
