"""FACodec (Ju et al. 2024, arXiv:2403.03100): prosody, content and detail in codes of their own, and a voice."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from tokaudio.audio import RESAMPLER, StreamResampler, as_audio, to_channels
from tokaudio.audio.blocks import BlockStream
from tokaudio.checkpoints import check_tensors
from tokaudio.errors import CheckpointError, TokensError, one_line
from tokaudio.nn.bigcodec import bigcodec_decoder, bigcodec_encoder
from tokaudio.nn.stages import Pipeline, Stage, stage_of
from tokaudio.nn.timbre import TimbreEncoder, Voiced, VoiceMeter
from tokaudio.nn.windows import Windows
from tokaudio.quantizers.facets import FacetQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.base import Streaming
from tokaudio.tokenizers.building import require_frame, skeleton
from tokaudio.tokenizers.codec import Codec, check_samples
from tokaudio.tokenizers.families.facodec_files import (
    FACodecShape,
    decoder_names,
    encoder_names,
    files_of,
    needed,
    shape_of,
)
from tokaudio.tokenizers.families.fields import known_facts
from tokaudio.tokenizers.pieces import Encoded, item_extras, joined, results
from tokaudio.tokenizers.published import PublishedSource, build
from tokaudio.tokens import Tokens

# The name of the side information in `Tokens.extras`, [B, D].
VOICE = "item_voice"
# No file states it; the paper does.
_SAMPLE_RATE = 16_000
_ROLES = ("prosody", "content", "detail")


class FACodec(Codec):
    """Convolutions with alias-free SnakeBeta, codebooks by kind of information, and one vector for the voice.

    The voice is measured over the whole signal and travels with the tokens, as the extra `item_voice` `[B, D]`;
    without it nothing can be decoded. Tokens that are given another signal's voice are spoken in that voice.

    Attributes:
        windows: voices of longer signals are measured window by window, which is an approximation.

    Example:
        >>> books = tuple(CodebookSpec(16, role=role) for role in ("prosody", "content", "content", "detail"))
        >>> spec = TokenizerSpec("tiny", "hybrid", 8_000, 4, books)
        >>> sizes = {"encoder_dim": 4, "decoder_dim": 8, "strides": (2, 2), "latent_dim": 8, "counts": (1, 2, 1)}
        >>> codec = FACodec(spec, FACodecShape(**sizes, sizes=(16, 16, 16), timbre_hidden=8)).eval()
        >>> tokens = codec.encode(torch.zeros(400))
        >>> tokens.codes.shape, tokens.extras["item_voice"].shape, codec.decode(tokens).shape
        (torch.Size([1, 4, 100]), torch.Size([1, 8]), torch.Size([1, 1, 400]))
    """

    FAMILY, TITLE = "facodec", "FACodec"
    takes_depth = False

    def __init__(self, spec: TokenizerSpec, shape: FACodecShape) -> None:
        """Make an untrained FACodec.

        Raises:
            CheckpointError: if the spec and the sizes do not agree.
        """
        super().__init__(
            spec,
            bigcodec_encoder(shape.encoder_dim, shape.strides, shape.latent_dim, lstm_layers=0),
            FacetQuantizer(shape.latent_dim, shape.sizes, counts=shape.counts, codebook_dim=shape.codebook_dim),
            bigcodec_decoder(shape.latent_dim, shape.decoder_dim, shape.strides[::-1], lstm_layers=0),
        )
        self.timbre = TimbreEncoder(
            shape.latent_dim,
            layers=shape.timbre_layers,
            heads=shape.timbre_heads,
            hidden=shape.timbre_hidden,
            kernel_size=shape.timbre_kernel,
        )
        self.voiced = Voiced(shape.latent_dim)
        self.shape = shape
        self.windows = Windows.of(float(spec.frame_rate), longest_whole=60.0)
        require_frame(spec, shape.hop_length)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> FACodec:
        """Make an untrained FACodec from what our `config.json` holds.

        Raises:
            CheckpointError: if a field is missing, unknown or no size.
        """
        try:
            return cls(TokenizerSpec.from_dict(config["spec"]), FACodecShape(**config["network"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the configuration does not fit FACodec: {error}; get an intact copy") from error

    def config(self) -> dict[str, Any]:
        """Return the family's name and sizes."""
        return {"family": self.FAMILY, "network": dataclasses.asdict(self.shape)}

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether both published files are there, and the decoder's holds a timbre extractor."""
        return files_of(source) is not None

    @classmethod
    def from_published(cls, source: PublishedSource) -> FACodec:
        """Make a FACodec from `ns3_facodec_encoder.bin` and `ns3_facodec_decoder.bin`.

        Raises:
            CheckpointError: if a tensor is missing, unknown, misshapen or non-finite, or the sizes do not agree.
        """
        files = files_of(source)
        if files is None:
            raise CheckpointError(one_line(source.path, "holds no FACodec", "load it with Tokenizer.from_pretrained"))
        where = (str(files[0].path), str(files[1].path))
        parts = [needed(file.tensors(), name) for file, name in zip(files, where, strict=True)]
        shape = shape_of(parts[0], parts[1], where)
        spec = spec_of(source, shape)
        expected = skeleton(lambda: cls(spec, shape)) or {}
        tensors: dict[str, Tensor] = {}
        for names, part, name in zip((encoder_names(shape), decoder_names(shape)), parts, where, strict=True):
            # Compared under the names of the file, so that messages say what is wrong there.
            check_tensors(part, {theirs: expected[ours] for ours, theirs in names.items()}, name)
            tensors |= {ours: part[theirs] for ours, theirs in names.items()}
        return build(lambda: cls(spec, shape), tensors, str(source.path))

    # --- sound to codes and a voice --------------------------------------------------------------------------------

    def encode_pieces(
        self, blocks: Iterable[Any], sample_rate: int, *, num_codebooks: int | None = None
    ) -> Iterator[Tokens]:
        """Yield the tokens of sound that arrives in pieces: one piece, since the voice is known at the end only.

        Codes are all that is kept of the sound, besides the latents of one window.
        """
        k = self._codebook_count(num_codebooks)
        resampler = StreamResampler(sample_rate, self.spec.sample_rate, self.spec.channels)
        encoder = self.streaming(num_codebooks=k).encoder
        codes = []
        for block in blocks:
            samples, _ = to_channels(as_audio(block).samples.detach().cpu(), self.spec.channels)
            codes.append(encoder.push(torch.from_numpy(resampler.push(samples[0].numpy())).to(self.device)))
        codes += [encoder.push(torch.from_numpy(resampler.flush()).to(self.device)), encoder.flush()]
        encoded = Encoded(torch.cat(codes, dim=1), encoder.extras)
        provenance = {"resampler": RESAMPLER} if sample_rate != self.spec.sample_rate else {}
        yield self._with_extras([encoded], [encoder.pushed], k, provenance)

    def _encode_item(self, samples: Tensor, k: int) -> Encoded:
        stream = self._voice_stream(k)
        return Encoded(torch.cat([stream.push(samples), stream.flush()], dim=1), stream.extras)

    def _tokens(self, codes: list[Tensor], num_samples: list[int], k: int, provenance: dict[str, str]) -> Tokens:
        if any(item.shape[1] > self.windows.longest_whole for item in codes):
            rate = float(self.spec.frame_rate)
            steps, context = self.windows.steps / rate, self.windows.context / rate
            provenance = provenance | {"windows": f"{steps:g} s, context {context:g} s: approximate"}
        return super()._tokens(codes, num_samples, k, provenance)

    def _voice_stream(self, num_codebooks: int) -> VoiceStream:
        latents, meter = self.encoder_stage(), VoiceMeter(self.timbre, self.windows)

        def run(block: Tensor, last: bool) -> Tensor:
            steps = latents(block, last)
            meter(steps, last)
            return self.quantize(steps, num_codebooks)

        stream = VoiceStream(
            run,
            self.spec.channels,
            self.block_frames * self.spec.hop_length,
            self._no_codes(num_codebooks),
            device=self.device,
            padded_length=self.padded_length,
            check=check_samples,
        )
        silence = torch.zeros(self.shape.latent_dim, dtype=torch.float32, device=self.device)
        stream.measured = lambda: meter.voice if stream.pushed else silence
        return stream

    # --- codes and a voice to sound --------------------------------------------------------------------------------

    def _decode_item(self, item: Tokens) -> Tensor:
        stream = self._speaker(item.spec.num_codebooks)
        stream.extras = item_extras(item, slice(None), self.device)
        ready = results(stream, item.codes[0].to(self.device).split(self.block_frames, dim=1))
        return joined(ready, self.spec.channels, int(item.num_samples[0]), self.device)

    def _streaming(self, num_codebooks: int) -> Streaming:
        return Streaming(self._voice_stream(num_codebooks), self._speaker(num_codebooks))

    def _speaker(self, num_codebooks: int) -> BlockStream:
        """Return a stream from codes `[k, n]` to samples `[1, m]`, in the voice that its extras hold at the start."""
        stages: list[Stage] = []

        def check(codes: Tensor) -> None:
            self._check_codes(codes)
            self._voice_of(stream.extras)

        def run(block: Tensor, last: bool) -> Tensor:
            if not stages:
                stages.append(Pipeline([self.voiced.stage(self._voice_of(stream.extras)), stage_of(self.decoder)]))
            return stages[0](self.dequantize(block), last)

        stream = BlockStream(
            run,
            num_codebooks,
            self.block_frames,
            torch.zeros(1, 0, dtype=torch.float32, device=self.device),
            dtype=torch.int64,
            device=self.device,
            result_length=lambda frames: frames * self.spec.hop_length,
            check=check,
        )
        return stream

    def _voice_of(self, extras: Mapping[str, Tensor]) -> Tensor:
        """Return the voice `[D]` in an item's side information, or raise."""
        voice = extras.get(VOICE)
        if voice is None:
            problem = "these codes carry no voice to decode them in"
            raise TokensError(one_line(self.spec.name, problem, f"keep the extra {VOICE} that encode() gives"))
        if voice.shape != (self.shape.latent_dim,) or not voice.is_floating_point():
            problem = f"the extra {VOICE} is {voice.dtype} of shape {list(voice.shape)}"
            raise TokensError(one_line(self.spec.name, problem, f"give float32 [{self.shape.latent_dim}] per item"))
        return voice.to(self.device, torch.float32)


class VoiceStream(BlockStream):
    """A stream from samples to codes that measures the voice on its way: once it is flushed, its extras hold it.

    Attributes:
        measured: returns the voice `[D]` at the end.
    """

    measured: Callable[[], Tensor]

    def flush(self) -> Tensor:
        """End the sequence and return the rest `[K, m]`."""
        codes = super().flush()
        self.extras = {VOICE: self.measured()}
        return codes


def spec_of(source: PublishedSource, shape: FACodecShape) -> TokenizerSpec:
    """Return the facts about published weights; name, licence and origin only where it is known whose they are."""
    facts = known_facts(source.name)
    books = zip(_ROLES, shape.counts, shape.sizes, strict=True)
    return TokenizerSpec(
        name=facts.name,
        kind="hybrid",
        sample_rate=_SAMPLE_RATE,
        hop_length=shape.hop_length,
        codebooks=tuple(CodebookSpec(size, role=role) for role, count, size in books for _ in range(count)),
        licence=facts.licence,
        paper=facts.paper or "arXiv:2403.03100",
        origin=facts.origin,
    )
