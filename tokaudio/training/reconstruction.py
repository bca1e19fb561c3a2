"""One step of training a spectral codec to reconstruct its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tokaudio.nn.spectral_codec import SpectralCodecShape, SpectralDecoder, SpectralEncoder, pad_context
from tokaudio.quantizers.codebook import Codebook
from tokaudio.quantizers.residual import ResidualVectorQuantizer
from tokaudio.training.augment import Augmentation, draw
from tokaudio.training.descent import Descent
from tokaudio.training.losses import SpectralLoss, SpectralLossWeights
from tokaudio.training.pool import AudioPool


@dataclass(frozen=True, slots=True)
class ReconstructionOptions:
    """Choices of a reconstruction training.

    Attributes:
        batch: crops per step.
        crop_frames: frames per crop.
        continuous_steps: first steps without quantization; then the codebooks are set by k-means on fresh latents.
        initial_batches: batches whose latents k-means sees.
        commitment: weight of the quantizer's loss.
        average: decay of the averaged weights that are exported.
        clip_norm: gradients are scaled down to this norm.
        weights: of the losses, each from a step on; a later pair replaces an earlier one.
    """

    batch: int = 8
    crop_frames: int = 80
    continuous_steps: int = 600
    initial_batches: int = 24
    commitment: float = 1.0
    average: float = 0.999
    clip_norm: float = 5.0
    weights: tuple[tuple[int, SpectralLossWeights], ...] = ((0, SpectralLossWeights()),)

    def weights_at(self, step: int) -> SpectralLossWeights:
        """Return the weights of the losses at a step."""
        return [weights for first, weights in self.weights if first <= step][-1]


class SpectralCodecNets(nn.Module):
    """Encoder, quantizer and decoder of a spectral codec, as they are trained together."""

    def __init__(self, shape: SpectralCodecShape, quantizer: ResidualVectorQuantizer) -> None:
        super().__init__()
        self.encoder = SpectralEncoder(shape)
        self.quantizer = quantizer
        self.decoder = SpectralDecoder(shape)

    def encode(self, signal: Tensor) -> Tensor:
        """Return latents `[B, D, T]` of signals `[B, S]`."""
        latents: Tensor = self.encoder(pad_context(signal, self.encoder.context))
        return latents

    def decode(self, quantized: Tensor) -> Tensor:
        """Return signals `[B, S]` of quantized latents `[B, D, T]`."""
        signal: Tensor = self.decoder(quantized)
        return signal[:, self.decoder.context : signal.shape[1] - self.decoder.context]


class ReconstructionTraining:
    """Trains a spectral codec with reconstruction losses alone; a `Trainable` for the loop."""

    def __init__(
        self,
        nets: SpectralCodecNets,
        pool: AudioPool,
        *,
        options: ReconstructionOptions,
        augmentation: Augmentation,
        hop_length: int,
    ) -> None:
        self.nets, self.pool, self.options, self.augmentation = nets, pool, options, augmentation
        self.crop = options.crop_frames * hop_length
        self.loss = SpectralLoss(pool.sample_rate)
        self.descent = Descent(nets, average=options.average, clip_norm=options.clip_norm)
        self.quantizing = False

    @property
    def averaged(self) -> dict[str, Tensor]:
        """The averaged parameters, by name."""
        return self.descent.averaged

    def batch(self, generator: torch.Generator) -> Tensor:
        """Return a batch of crops `[B, S]`."""
        crops = [draw(self.pool, generator, self.crop, self.augmentation) for _ in range(self.options.batch)]
        return torch.stack(crops)

    def step(self, generator: torch.Generator, step: int, rate: float) -> dict[str, float]:
        """Take one optimizer step."""
        torch.manual_seed(int(torch.randint(0, 2**31, (), generator=generator)))
        if not self.quantizing and step >= self.options.continuous_steps:
            self.start_quantizing(generator)
        self.nets.train()
        signal = self.batch(generator)
        latents = self.nets.encode(signal)
        figures: dict[str, float] = {}
        total = signal.new_zeros(())
        if self.quantizing:
            out = self.nets.quantizer(latents)
            total = self.options.commitment * out.loss
            figures = {"commitment": out.loss.item()} | {name: value.item() for name, value in out.stats.items()}
            latents = out.quantized
        loss, parts = self.loss(self.nets.decode(latents), signal, weights=self.options.weights_at(step))
        figures |= {"loss": loss.item()} | {name: value.item() for name, value in parts.items()}
        self.descent.step(total + loss, rate=rate, step=step)
        return figures

    @torch.no_grad()
    def start_quantizing(self, generator: torch.Generator) -> None:
        """Set the codebooks by k-means over the latents of fresh batches."""
        self.nets.eval()
        latents = [self.nets.encode(self.batch(generator)) for _ in range(self.options.initial_batches)]
        self.nets.quantizer.initialise(torch.cat([part.transpose(1, 2).flatten(0, 1) for part in latents]))
        self.quantizing = True

    def _codebooks(self) -> list[Codebook]:
        return [module for module in self.nets.modules() if isinstance(module, Codebook)]

    def state(self) -> dict[str, Any]:
        """Return weights, averages, optimizer and codebook statistics."""
        return {
            "nets": self.nets.state_dict(),
            "averaged": self.averaged,
            "optimizer": self.descent.optimizer.state_dict(),
            "codebooks": [book.learning_state() for book in self._codebooks()],
            "quantizing": self.quantizing,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.descent.load_state({"net": state["nets"], **state})
        for book, saved in zip(self._codebooks(), state["codebooks"], strict=True):
            book.load_learning_state(saved)
        self.quantizing = bool(state["quantizing"])

    def averaged_state(self) -> dict[str, Tensor]:
        """Return the state to export: averaged parameters beside the codebooks as they are."""
        return {name: self.averaged.get(name, value) for name, value in self.nets.state_dict().items()}
