"""Vocoders of k-means units: HiFi-GAN, on one layer's units (textlesslib) or on those of several (SpeechBrain)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tokaudio.errors import CheckpointError, TokensError, one_line
from tokaudio.nn.determinism import exact_inference
from tokaudio.nn.stages import Pipeline, Pointwise, Stage
from tokaudio.nn.unit_hifigan import UnitHiFiGAN, UnitHiFiGANSizes
from tokaudio.tokenizers.building import make_unfilled
from tokaudio.tokenizers.vocoders import SPEAKER, STYLE, Vocoder


@dataclasses.dataclass(frozen=True)
class UnitFacts:
    """What a vocoder of units was trained on.

    Attributes:
        name: what it is called.
        codebook_size: V, units per layer.
        layers: numbers of the layers, in the order of its units; empty where its files do not say.
        sample_rate: of its sound in Hz.
        reserved: rows of its table before the first unit; the first of them stands for a layer that is missing.
        licence: of the weights.
        origin: where they come from.

    Example:
        >>> UnitFacts("hifigan-hubert-k1000", 1000, (1, 3, 7, 12, 18, 23), reserved=1).inputs(6001)
        6
    """

    name: str
    codebook_size: int
    layers: tuple[int, ...] = ()
    sample_rate: int = 16_000
    reserved: int = 0
    licence: str = ""
    origin: str = ""

    def inputs(self, units: int) -> int:
        """Return how many units per frame a table of so many rows is for.

        Raises:
            CheckpointError: it is for a part of one, or for another number of layers.
        """
        count, rest = divmod(units - self.reserved, self.codebook_size)
        if rest or count < 1 or (self.layers and len(self.layers) != count):
            problem = f"has {units} units, which are not {self.codebook_size} for each of its layers {self.layers}"
            raise CheckpointError(one_line(self.name, problem, "give the layers that it was trained on"))
        return count


class UnitVocoder(Vocoder):
    """HiFi-GAN on k-means units: SpeechBrain's of several layers, and textlesslib's of one.

    Attributes:
        facts: what it was trained on.
        network: the layers.
        voice: the vector `[D]` of the speaker that speaks where tokens name none; None if there is none.

    Example:
        >>> sizes = UnitHiFiGANSizes(units=21, unit_dim=8, attention_dim=4, channels=8, factors=(4, 2), kernels=(4, 4))
        >>> vocoder = UnitVocoder(UnitFacts("tiny", 10, layers=(3, 6), reserved=1), sizes).eval()
        >>> vocoder.synthesise(torch.zeros(2, 5, dtype=torch.int64)).shape
        torch.Size([1, 40])
    """

    KIND = "unit-hifigan"
    voice: Tensor | None

    def __init__(self, facts: UnitFacts, sizes: UnitHiFiGANSizes, *, voice: bool = False) -> None:
        """Make an untrained vocoder.

        Args:
            facts: what it is to be trained on.
            sizes: of its network.
            voice: whether there is the vector of a speaker.

        Raises:
            CheckpointError: if they do not agree.
        """
        super().__init__()
        self.facts, self.name = facts, facts.name
        self.sample_rate, self.hop_length = facts.sample_rate, sizes.hop_length
        self.inputs = facts.inputs(sizes.units)
        if self.inputs > 1 and not sizes.attention_dim:
            raise CheckpointError(one_line(facts.name, "has no attention over its units", "give it one"))
        if voice and not sizes.speaker_dim:
            raise CheckpointError(one_line(facts.name, "takes no vector of a speaker", "leave it out"))
        self.network = UnitHiFiGAN(sizes)
        self.register_buffer("voice", torch.zeros(sizes.speaker_dim) if voice else None)

    def config(self) -> dict[str, Any]:
        """Return kind, facts and sizes."""
        return {
            "kind": self.KIND,
            "facts": dataclasses.asdict(self.facts),
            "sizes": dataclasses.asdict(self.network.sizes),
            "voice": self.voice is not None,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> UnitVocoder:
        """Make an untrained vocoder of what `config` gave.

        Raises:
            CheckpointError: if a field is missing or does not fit.
        """
        try:
            facts = UnitFacts(**{**config["facts"], "layers": tuple(config["facts"]["layers"])})
            return cls(facts, UnitHiFiGANSizes(**config["sizes"]), voice=config["voice"])
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise CheckpointError(f"the configuration does not fit a vocoder of units: {error}") from error

    def with_voice(self, voice: Tensor) -> UnitVocoder:
        """Return a vocoder with the same network that speaks in this voice, a vector `[D]`, unless told otherwise.

        Raises:
            CheckpointError: it takes no such vector.
        """
        wanted = (self.network.sizes.speaker_dim,)
        if voice.shape != wanted or not voice.is_floating_point():
            problem = f"takes vectors of speakers {list(wanted)}, not {voice.dtype} {list(voice.shape)}"
            raise CheckpointError(one_line(self.name, problem, "give one that its speaker encoder made"))
        return self._changed(voice=voice.detach().to(self.network.units.weight).clone())

    def fitted(self, layers: Sequence[int], layer_sizes: Sequence[int], *, per_layer: int) -> UnitVocoder:
        """Return this vocoder, knowing its layers; at least one of them must be the tokenizer's.

        Where its files do not say which layers they are, they are the tokenizer's, if there are as many.

        Raises:
            CheckpointError: it was not trained on such units.
        """
        own = self.facts.layers or tuple(layers)
        if len(own) != self.inputs:
            problem = f"was trained on {self.inputs} layers, not on {list(layers)}, and its files do not say which"
            raise CheckpointError(one_line(self.name, problem, "name them: load_vocoder(..., layers=...)"))
        found = [list(layers).index(layer) for layer in own if layer in layers]
        if not found or (len(found) < len(own) and not self.facts.reserved):
            problem = f"was trained on the layers {list(own)}"
            raise CheckpointError(one_line(self.name, problem, f"the tokenizer has {list(layers)}"))
        if per_layer > 1 or any(layer_sizes[place] != self.facts.codebook_size for place in found):
            sizes = f"{per_layer} of {', '.join(str(size) for size in layer_sizes)}"
            problem = f"was trained on one codebook of {self.facts.codebook_size} units per layer"
            raise CheckpointError(one_line(self.name, problem, f"the tokenizer has {sizes}"))
        if own == self.facts.layers:
            return self
        return self._changed(facts=dataclasses.replace(self.facts, layers=own))

    def _changed(self, *, facts: UnitFacts | None = None, voice: Tensor | None = None) -> UnitVocoder:
        """Return a vocoder with the same network."""
        voice = self.voice if voice is None else voice
        changed = make_unfilled(
            lambda: UnitVocoder(facts or self.facts, self.network.sizes, voice=voice is not None),
        )
        changed.network, changed.voice = self.network, voice
        return changed.train(self.training)

    def stage(self, layers: Sequence[int], count: int, extras: Mapping[str, Tensor]) -> Stage:
        """Return a fresh stage from codes `[n, count]` to samples `[m, 1]`; layers without codes are missing ones."""
        own, used = self.facts.layers or tuple(layers), list(layers)[:count]
        columns = [used.index(layer) if layer in used else None for layer in own]
        if all(column is None for column in columns) or (None in columns and not self.facts.reserved):
            problem = f"speaks units of the layers {list(own)}, and there are codes of {used}"
            raise TokensError(one_line(self.name, problem, "decode more codebooks"))
        condition = self._condition(extras)

        def units(codes: Tensor) -> Tensor:
            rows = codes.new_zeros(len(codes), len(own))
            for index, column in enumerate(columns):
                if column is not None:
                    rows[:, index] = codes[:, column] + (index * self.facts.codebook_size + self.facts.reserved)
            return rows

        return Pipeline([Pointwise(units), self.network.stage(condition)])

    def _condition(self, extras: Mapping[str, Tensor]) -> Tensor | None:
        sizes = self.network.sizes
        speaker = extras.get(SPEAKER, self.voice)
        if sizes.speaker_dim and speaker is None:
            problem = f"speaks in the voice of a vector [{sizes.speaker_dim}] of its speaker encoder"
            raise TokensError(one_line(self.name, problem, f"decode(tokens, speaker=...), or the extra {SPEAKER}"))
        # The published code's own choice where nothing is asked for is the first of each table.
        first = torch.zeros((), dtype=torch.int64)
        try:
            return self.network.condition(speaker=first if speaker is None else speaker, style=extras.get(STYLE, first))
        except (ValueError, RuntimeError) as error:
            raise TokensError(one_line(self.name, str(error), f"correct the extra {SPEAKER} or {STYLE}")) from error

    def synthesise(self, codes: Tensor, *, extras: Mapping[str, Tensor] | None = None) -> Tensor:
        """Return the sound `[1, T * hop_length]` of codes `[K, T]` of all its layers.

        Args:
            codes: integers from 0 to V - 1.
            extras: `item_speaker` and `item_style`, where it takes them.

        Raises:
            TokensError: if the codes do not fit.
        """
        valid = codes.ndim == 2 and len(codes) == self.inputs and not codes.is_floating_point() and codes.shape[1]
        if not valid or int(codes.min()) < 0 or int(codes.max()) >= self.facts.codebook_size:
            problem = f"takes codes [{self.inputs}, T] from 0 to {self.facts.codebook_size - 1}"
            raise TokensError(one_line(self.name, problem, f"got {codes.dtype} {list(codes.shape)}"))
        layers = self.facts.layers or tuple(range(self.inputs))
        with exact_inference(codes.device):
            return self.stage(layers, self.inputs, extras or {})(codes.T.contiguous(), True).T

    def durations(self, units: Tensor) -> Tensor:
        """Return for how many frames `[N]` each unit `[N]` of a sequence without repetitions is to last.

        For units that a language model gave without durations: `units.repeat_interleave(vocoder.durations(units))`.

        Raises:
            TokensError: there is no predictor of durations in this vocoder, or there are several layers.
        """
        if not self.network.sizes.duration_dim:
            raise TokensError(one_line(self.name, "predicts no durations", "use the durations of the tokens"))
        with exact_inference(units.device):
            lasting: Tensor = self.network.durations(self.network.embed(units[:, None] + self.facts.reserved))
            return lasting
