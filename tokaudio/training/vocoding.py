"""One step of teaching a decoder to speak from codes that stay as they are: the vocoder of a semantic tokenizer.

The codes do not say how phases lie, so that no waveform can be matched: losses compare magnitudes, and phases are only
held to what overlapping windows agree on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tokaudio.nn.spectral_codec import SpectralDecoder
from tokaudio.quantizers.base import Quantizer
from tokaudio.training.descent import Descent
from tokaudio.training.losses import SpectralLoss, SpectralLossWeights
from tokaudio.training.pool import AudioPool
from tokaudio.training.teacher import frame_starts

_NO_CODE = -1
_WEIGHTS = SpectralLossWeights(mel=2.0, magnitude=8.0, complex=0.0)


@dataclass(frozen=True, slots=True)
class VocodingOptions:
    """Choices of a vocoder training.

    Attributes:
        batch: crops per step.
        crop_frames: frames per crop whose sound is compared.
        weights: of the losses.
        windows: lengths of the spectra that are compared, in samples.
        first_only: share of the crops that are spoken from their first codebook alone.
        half: multiply in bfloat16, which is faster on processors that know it.
    """

    batch: int = 8
    crop_frames: int = 64
    weights: SpectralLossWeights = _WEIGHTS
    windows: tuple[int, ...] = (320, 640, 1280)
    first_only: float = 0.15
    half: bool = True


class VocoderTraining:
    """Trains a decoder on the codes of a pool; a `Trainable` for the loop.

    Args:
        decoder: takes what the quantizer decodes.
        quantizer: of the codes; it does not change.
        pool: of sound.
        codes: of all frames of the pool, in its order `[K, N]`.
        options: batch and losses.
        hop_length: samples per frame.
    """

    def __init__(
        self,
        decoder: SpectralDecoder,
        quantizer: Quantizer,
        pool: AudioPool,
        codes: Tensor,
        *,
        options: VocodingOptions,
        hop_length: int,
    ) -> None:
        self.decoder, self.quantizer, self.pool, self.codes = decoder, quantizer, pool, codes
        self.options, self.hop_length = options, hop_length
        self.starts = frame_starts(pool, hop_length)
        if self.starts[-1] != codes.shape[1]:
            raise ValueError(f"the pool has {self.starts[-1]} frames and there are codes of {codes.shape[1]}")
        self.loss = SpectralLoss(pool.sample_rate, windows=options.windows, weights=options.weights)
        self.descent = Descent(decoder)

    def example(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return codes with their surroundings `[K, W]`, -1 where there is no frame, and samples `[S]`."""
        hop, wanted, reach = self.hop_length, self.options.crop_frames, self.decoder.reach
        number = self.pool.draw(generator)
        clip, first = self.pool.clips[number], self.starts[number]
        frames = self.starts[number + 1] - first
        start = int(torch.randint(0, max(1, frames - wanted + 1), (), generator=generator))
        begin, end = max(0, start - reach), min(frames, start + wanted + reach)
        around = (begin - (start - reach), start + wanted + reach - end)
        codes = F.pad(self.codes[:, first + begin : first + end].long(), around, value=_NO_CODE)
        samples = self.pool.read(clip, start * hop, wanted * hop)
        return codes, F.pad(samples, (0, wanted * hop - len(samples)))

    def vectors(self, codes: Tensor, first_only: Tensor) -> Tensor:
        """Return what the decoder hears of codes `[B, K, W]`, some items `[B]` with their first codebook alone."""
        known = codes.clamp_min(0)
        first = self.quantizer.decode(known[:, :1])
        vectors = torch.where(first_only[:, None, None], first, self.quantizer.decode(known))
        return vectors * (codes[:, :1] != _NO_CODE)

    def spoken(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return what the decoder makes of the codes of some crops, and their recordings, both `[B, S]`."""
        examples = [self.example(generator) for _ in range(self.options.batch)]
        codes, wanted = (torch.stack(parts) for parts in zip(*examples, strict=True))
        vectors = self.vectors(codes, torch.rand(len(codes), generator=generator) < self.options.first_only)
        with torch.autocast(vectors.device.type, torch.bfloat16, enabled=self.options.half):
            signal = self.decoder(vectors)
        edge = self.decoder.context + self.decoder.reach * self.hop_length
        return signal[:, edge : signal.shape[1] - edge].float(), wanted

    def step(self, generator: torch.Generator, step: int, rate: float) -> dict[str, float]:
        """Take one optimizer step."""
        loss, parts = self.loss(*self.spoken(generator))
        self.descent.step(loss, rate=rate, step=step)
        return {"loss": loss.item()} | {name: value.item() for name, value in parts.items()}

    def state(self) -> dict[str, Any]:
        """Return weights, averages and optimizer."""
        return self.descent.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.descent.load_state(state)


def warm_start(decoder: SpectralDecoder, other: SpectralDecoder) -> list[str]:
    """Copy from another decoder all that has the same name and shape; return the names of the rest.

    Example:
        >>> from tokaudio.nn.spectral_codec import SpectralCodecShape
        >>> small = {"decoder_dim": 8, "decoder_blocks": 1, "hop_length": 80, "n_fft": 160}
        >>> first, second = (SpectralDecoder(SpectralCodecShape(latent_dim=n, **small)) for n in (4, 6))
        >>> warm_start(first, second)
        ['stack.entry.weight']
    """
    mine, theirs = decoder.state_dict(), other.state_dict()
    fitting = {name: value for name, value in theirs.items() if name in mine and mine[name].shape == value.shape}
    return decoder.load_state_dict(fitting, strict=False).missing_keys


def refit_entry(
    decoder: SpectralDecoder, before: Quantizer, after: Quantizer, codes: Sequence[tuple[Tensor, Tensor]]
) -> None:
    """Make a decoder that spoke from the vectors of one quantizer speak from those of another, as far as it can.

    Of each codebook, old vectors are regressed on the new ones (least squares over frames), and the map is folded into
    the decoder's first layer, which is linear.

    Args:
        decoder: which is changed.
        before: whose vectors it has heard so far.
        after: whose vectors it is to hear, as wide and with as many codebooks.
        codes: of the same sounds, before and after, `[K, T]` each.
    """
    old, new = (torch.cat(side, dim=1) for side in zip(*codes, strict=True))
    mapped = decoder.stack.entry.weight.new_zeros(after.codebook(0).shape[1], before.codebook(0).shape[1])
    for index in range(after.num_codebooks):
        heard, wanted = after.codebook(index)[new[index]].double(), before.codebook(index)[old[index]].double()
        # The driver for matrices without full rank: vectors are zero outside their part.
        mapped += torch.linalg.lstsq(heard.T @ heard, heard.T @ wanted, driver="gelsd").solution.float()
    with torch.no_grad():
        decoder.stack.entry.weight.copy_(torch.einsum("nd,odk->onk", mapped, decoder.stack.entry.weight))
