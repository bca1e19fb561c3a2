"""Small heads that read a latent: what a codec's vectors are to tell besides how the sound is made.

Many small tasks on one encoder, as in PASE (Pascual et al. 2019, arXiv:1904.03416, and 2020, arXiv:2001.09239): each
head is a layer or two, so that what it needs must lie in the latent already.

    heads = Heads(dim=64, phones=41)
    targets = measure(signal, 16_000, frames=latents.shape[-1])
    total, parts = heads.loss(out.quantized, targets)

Pitch, energy and cepstra are measured in the sound itself; phones and speakers are named where labels say so.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.audio.attributes import energy, mfcc, pitch

CEPSTRA = 39
"""13 coefficients with their first and second differences."""

# Hz: pitch counts in octaves from here, near the middle of speech.
_MIDDLE = 150.0
# dB: energy counts in steps of so many, about the spread of speech.
_LEVEL, _SPREAD = -35.0, 20.0


@dataclass(frozen=True, slots=True)
class Targets:
    """What the heads are to say of a batch; None for what nobody knows.

    Attributes:
        pitch: octaves above 150 Hz `[B, T]`, NaN where there is none.
        energy: level `[B, T]`, in steps of 20 dB from -35 dB.
        cepstra: `[B, 39, T]`.
        phones: numbers `[B, T]`, -1 for frames without a label.
        speakers: numbers `[B]`, -1 for items without one.
    """

    pitch: Tensor | None = None
    energy: Tensor | None = None
    cepstra: Tensor | None = None
    phones: Tensor | None = None
    speakers: Tensor | None = None

    def to(self, device: torch.device | str) -> Targets:
        """Return the targets on a device."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return Targets(**{name: None if value is None else value.to(device) for name, value in fields.items()})


def measure(
    signal: Tensor,
    sample_rate: int,
    frames: int,
    *,
    phones: Tensor | None = None,
    speakers: Tensor | None = None,
) -> Targets:
    """Measure pitch, energy and cepstra of signals, on the CPU, and take labels along.

    Pitch by YIN, energy and cepstra around the centre of each frame: see `tokaudio.audio.attributes`.

    Args:
        signal: `[B, S]`; frames divide it evenly.
        sample_rate: in Hz, above 1,600.
        frames: T.
        phones: labels `[B, T]`.
        speakers: labels `[B]`.

    Raises:
        AudioError: if the sample rate is too low for pitch.

    Example:
        >>> tone = torch.sin(torch.arange(16_000) * (6.283185307 * 300 / 16_000))[None]
        >>> targets = measure(tone, 16_000, 50)
        >>> round(targets.pitch[0, 20].item(), 2), targets.cepstra.shape
        (1.0, torch.Size([1, 39, 50]))
    """
    rate = Fraction(frames * sample_rate, signal.shape[1])
    heard = signal.detach().cpu().double().numpy()
    with np.errstate(invalid="ignore"):
        pitches = np.stack([np.log2(pitch(item, sample_rate, frames, rate) / _MIDDLE) for item in heard])
    levels = np.stack([(energy(item, sample_rate, frames, rate) - _LEVEL) / _SPREAD for item in heard])
    cepstra = np.stack([mfcc(item, sample_rate, frames, rate).T for item in heard])
    parts = (torch.from_numpy(part).float().to(signal.device) for part in (pitches, levels, cepstra))
    found_pitch, found_energy, found_cepstra = parts
    return Targets(found_pitch, found_energy, found_cepstra, phones, speakers)


@dataclass(frozen=True, slots=True)
class HeadWeights:
    """Weights of the heads' losses; a head of weight 0 is not made."""

    pitch: float = 1.0
    voicing: float = 0.5
    energy: float = 1.0
    cepstra: float = 0.5
    phones: float = 1.0
    speakers: float = 0.5


class Heads(nn.Module):
    """Heads on latents, and their loss.

    Args:
        dim: D of the latents.
        phones: kinds of phones; 0 for no such head.
        speakers: how many there are; 0 for no such head.
        hidden: channels of the one layer between; 0 for heads that are linear, and ask most of the latent.
        weights: of the losses.

    Shape:
        latents `[B, D, T]`; `pitch`, `voicing` and `energy` `[B, T]`, `cepstra` `[B, 39, T]`, `phones` `[B, P, T]`,
        `speakers` `[B, N]`, of the mean over frames.

    Example:
        >>> heads = Heads(8, phones=40)
        >>> {name: tuple(value.shape) for name, value in heads(torch.zeros(2, 8, 5)).items()}["phones"]
        (2, 40, 5)
        >>> total, parts = heads.loss(torch.zeros(2, 8, 5), measure(torch.randn(2, 1600), 16_000, 5))
        >>> sorted(parts)
        ['cepstra', 'energy', 'voicing']
    """

    def __init__(
        self, dim: int, *, phones: int = 0, speakers: int = 0, hidden: int = 0, weights: HeadWeights = HeadWeights()
    ) -> None:
        super().__init__()
        self.weights = dataclasses.asdict(weights)
        sizes = {"pitch": 1, "voicing": 1, "energy": 1, "cepstra": CEPSTRA, "phones": phones, "speakers": speakers}
        self.heads = nn.ModuleDict(
            {name: _head(dim, hidden, size) for name, size in sizes.items() if size and self.weights[name] > 0}
        )
        # Cepstra differ in size by a factor of a hundred: each is brought to the same spread, over batches.
        self.norm = nn.BatchNorm1d(CEPSTRA, affine=False)

    def forward(self, latents: Tensor) -> dict[str, Tensor]:
        """Return what each head says of latents `[B, D, T]`."""
        said: dict[str, Tensor] = {}
        for name, head in self.heads.items():
            heard = latents.mean(-1, keepdim=True) if name == "speakers" else latents
            out = head(heard).float()
            said[name] = out[..., 0] if name == "speakers" else out[:, 0] if out.shape[1] == 1 else out
        return said

    def loss(self, latents: Tensor, targets: Targets) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum of the losses of all heads with a target, and each of them, detached.

        L1 for pitch (voiced frames only), energy and cepstra, cross-entropy for the rest.

        Args:
            latents: `[B, D, T]`, before or after quantization.
            targets: of the same frames.
        """
        parts = {name: part for name, part in self._parts(self(latents), targets).items() if part is not None}
        total = latents.new_zeros(())
        for name, part in parts.items():
            total = total + self.weights[name] * part
        return total, {name: part.detach() for name, part in parts.items()}

    def _parts(self, said: dict[str, Tensor], targets: Targets) -> dict[str, Tensor | None]:
        parts: dict[str, Tensor | None] = {}
        if targets.pitch is not None:
            voiced = targets.pitch.isfinite()
            if "voicing" in said:
                parts["voicing"] = F.binary_cross_entropy_with_logits(said["voicing"], voiced.float())
            if "pitch" in said and bool(voiced.any()):
                parts["pitch"] = F.l1_loss(said["pitch"][voiced], targets.pitch[voiced])
        if "energy" in said and targets.energy is not None:
            parts["energy"] = F.l1_loss(said["energy"], targets.energy)
        if "cepstra" in said and targets.cepstra is not None:
            parts["cepstra"] = F.l1_loss(said["cepstra"], self.norm(targets.cepstra))
        for name, labels in (("phones", targets.phones), ("speakers", targets.speakers)):
            if name in said and labels is not None and bool((labels >= 0).any()):
                parts[name] = F.cross_entropy(said[name], labels.long(), ignore_index=-1)
        return parts


def _head(dim: int, hidden: int, outputs: int) -> nn.Module:
    if not hidden:
        return nn.Conv1d(dim, outputs, 1)
    return nn.Sequential(nn.Conv1d(dim, hidden, 1), nn.PReLU(hidden), nn.Conv1d(hidden, outputs, 1))
