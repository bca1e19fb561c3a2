"""Tokenizers whose sound comes from a vocoder, if they have one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from tokaudio.audio.blocks import BlockStream
from tokaudio.errors import CheckpointError, TokensError, one_line
from tokaudio.nn.stages import Stage
from tokaudio.spec import TokenizerSpec
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokenizers.pieces import item_extras
from tokaudio.tokenizers.vocoders import Vocoder, with_speaker
from tokaudio.tokens import Tokens

_BLOCK_SECONDS = 2.0


class Vocoded(Tokenizer):
    """A tokenizer that decodes with a vocoder, where it has one: a part of it, saved and loaded with it.

    Codes do not depend on the vocoder, and the fingerprint leaves it out: tokens that were made without one are decoded
    as soon as there is one.

    Attributes:
        vocoder: None if there is none.
        layers: numbers of the layers that codebooks belong to, one after the other.
    """

    vocoder: Vocoder | None
    layers: tuple[int, ...]

    def take_vocoder(self, vocoder: Vocoder | None, layer_sizes: Sequence[int], *, per_layer: int) -> None:
        """Make a vocoder a part of the tokenizer, after a check that it fits; None for none.

        Args:
            vocoder: it.
            layer_sizes: V of the codebooks of each layer.
            per_layer: codebooks of each of them.

        Raises:
            CheckpointError: it does not.
        """
        self.vocoder = None
        self.decodes = vocoder is not None
        if vocoder is None:
            return
        spec = self.spec
        if spec.output_sample_rate != vocoder.sample_rate:
            problem = f"sound has {spec.output_sample_rate} Hz in the spec, {vocoder.sample_rate} in the vocoder"
            raise CheckpointError(one_line(spec.name, problem, "use with_vocoder"))
        if spec.hop_length * vocoder.sample_rate != vocoder.hop_length * spec.sample_rate:
            problem = f"has {float(spec.frame_rate):g} frames per second"
            rate = vocoder.sample_rate / vocoder.hop_length
            raise CheckpointError(one_line(spec.name, problem, f"the vocoder {vocoder.name} is for {rate:g}"))
        self.vocoder = vocoder.fitted(self.layers, layer_sizes, per_layer=per_layer)

    def decode(
        self, tokens: Tokens, *, speaker: Tensor | int | None = None, style: Tensor | int | None = None
    ) -> Tensor:
        """Turn tokens into sound with the vocoder.

        Args:
            tokens: of this tokenizer; fewer codebooks are fine if the vocoder can do without the others.
            speaker: who speaks, where the vocoder has a choice: a vector `[D]` or `[B, D]`, or a number; see
                [`with_speaker`][tokaudio.tokenizers.vocoders.with_speaker]. By default what the tokens say, else the
                vocoder's own voice.
            style: a number, where the vocoder has styles.

        Returns:
            Samples `[B, 1, S]` at `spec.output_sample_rate`, each item of exactly its own length and zero after it.
            Samples at the end that no frame belongs to are zero.

        Raises:
            TokensError: if the tokens are another tokenizer's, there is no vocoder, or nobody to speak.
        """
        self._speaker_of(tokens)
        chosen = speaker is not None or style is not None
        return super().decode(with_speaker(tokens, speaker, style) if chosen else tokens)

    def decode_blocks(self, tokens: Tokens, *, block_frames: int = 1000) -> Iterator[Tensor]:
        """Yield the sound of one item piece by piece `[1, n]`, in memory that does not grow with its length."""
        self._speaker_of(tokens)
        return super().decode_blocks(tokens, block_frames=block_frames)

    def no_decoder(self) -> TokensError:
        """Return the error that says that there is no vocoder, and which one to use."""
        return TokensError(one_line(self.spec.name, "has no vocoder to make sound with", self.vocoder_wanted()))

    def vocoder_wanted(self) -> str:
        """Return what to do about a missing vocoder, as an imperative."""
        return "give it one that was trained on its units: with_vocoder(load_vocoder(...))"

    def _speaker_of(self, tokens: Tokens) -> None:
        self._checked(tokens)
        if self.vocoder is None:
            raise self.no_decoder()

    def _coding_state(self) -> dict[str, Tensor]:
        return {name: value for name, value in self.state_dict().items() if not name.startswith("vocoder.")}

    def _decode_item(self, item: Tokens) -> Tensor:
        length = self.spec.decoded_length(int(item.num_samples[0]))
        return self._sound(item.codes[0].to(self.device), length, item_extras(item, slice(None), self.device))

    def _decode(self, codes: Tensor, num_samples: int) -> Tensor:
        return self._sound(codes, num_samples, {})

    def _sound(self, codes: Tensor, num_samples: int, extras: Mapping[str, Tensor]) -> Tensor:
        stream, at = self._decoder_stream(len(codes)), 0
        stream.extras = extras
        # Written where it stays: nothing but the result is as long as the signal.
        sound = torch.zeros(1, num_samples, dtype=torch.float32, device=self.device)
        for piece in (*codes.split(stream.block, dim=1), None):
            ready = (stream.flush() if piece is None else stream.push(piece))[:, : num_samples - at]
            sound[:, at : at + ready.shape[1]] = ready
            at += ready.shape[1]
        return sound

    def _decoder_stream(self, num_codebooks: int) -> BlockStream:
        """Return a stream from codes `[k, n]` to samples `[1, m]`, in the voice that its extras hold at the start."""
        vocoder = self.vocoder
        assert vocoder is not None
        stages: list[Stage] = []
        sizes = torch.tensor(self.spec.codebook_sizes[:num_codebooks], device=self.device)[:, None]

        def check(codes: Tensor) -> None:
            if codes.is_floating_point() or bool(((codes < 0) | (codes >= sizes)).any()):
                raise TokensError(one_line("stream", "holds no codes of this tokenizer", "give integer codes [K, n]"))
            if not stages:
                stages.append(vocoder.stage(self.layers, num_codebooks, stream.extras))

        def run(block: Tensor, last: bool) -> Tensor:
            return stages[0](block, last)

        stream = BlockStream(
            run,
            num_codebooks,
            max(1, round(_BLOCK_SECONDS * float(self.spec.frame_rate))),
            torch.zeros(1, 0, dtype=torch.float32, device=self.device),
            dtype=torch.int64,
            device=self.device,
            result_length=lambda frames: frames * vocoder.hop_length,
            check=check,
        )
        return stream


def decoded_spec(spec: TokenizerSpec, vocoder: Vocoder | None) -> TokenizerSpec:
    """Return the spec of a tokenizer that decodes with this vocoder.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),), decode_sample_rate=24_000)
        >>> decoded_spec(spec, None).output_sample_rate
        16000
    """
    rate = None if vocoder is None or vocoder.sample_rate == spec.sample_rate else vocoder.sample_rate
    return dataclasses.replace(spec, decode_sample_rate=rate)
