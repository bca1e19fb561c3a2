"""Changes to training audio that make few voices go further: speed, loudness, timbre, and a little noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tokaudio.training.pool import AudioPool, Clip


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Ranges of the random changes.

    Attributes:
        speed: highest factor of speed and pitch, and one over it the lowest.
        gain_db: lowest and highest peak level, in dB relative to full scale.
        tilt_db: standard deviation of the random gain per octave-wide band.
        noise_db: lowest and highest level of white noise relative to full scale; applied to a third of the crops.
        plain: share of crops that are left as they are.
        bandwidth: share of the crops, of the others, that lose their high frequencies.
        cutoff: lowest and highest frequency that these keep, as shares of the highest there is.
        mixture: share of the crops, of the others, that another crop is mixed into.
        mixture_db: lowest and highest level of that one, in dB relative to the first.
    """

    speed: float = 1.2
    gain_db: tuple[float, float] = (-24.0, 0.0)
    tilt_db: float = 3.0
    noise_db: tuple[float, float] = (-80.0, -50.0)
    plain: float = 0.2
    bandwidth: float = 0.0
    cutoff: tuple[float, float] = (0.4, 1.0)
    mixture: float = 0.0
    mixture_db: tuple[float, float] = (-30.0, -5.0)


def _uniform(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


@dataclass(frozen=True, slots=True)
class Drawn:
    """A crop, and where it comes from.

    Attributes:
        signal: `[S]`.
        clip: that it is a part of.
        start: sample of the clip where it begins, below 0 where silence precedes it.
        speed: samples of the clip per sample of the crop.
    """

    signal: Tensor
    clip: Clip
    start: int
    speed: float


def draw(pool: AudioPool, generator: torch.Generator, length: int, augmentation: Augmentation) -> Tensor:
    """Return one augmented crop `[length]`.

    Example:
        >>> import tempfile, pathlib
        >>> from tokaudio.training.pool import write_pool
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = write_pool(folder, [("a", "demo", np.random.default_rng(0).normal(size=16000) * 0.1)], 16000)
        >>> draw(AudioPool(folder), torch.Generator().manual_seed(0), 8000, Augmentation()).shape
        torch.Size([8000])
    """
    return draw_placed(pool, generator, length, augmentation).signal


def draw_placed(pool: AudioPool, generator: torch.Generator, length: int, augmentation: Augmentation) -> Drawn:
    """Return what `draw` returns, and where it comes from."""
    if _uniform(generator, 0, 1) < augmentation.plain:
        clip, start = pool.place(generator, length)
        return Drawn(pool.cut(clip, start, length), clip, start, 1.0)
    factor = augmentation.speed ** _uniform(generator, -1, 1)
    taken = round(length * factor) + 8
    clip, start = pool.place(generator, taken)
    crop = change_speed(pool.cut(clip, start, taken), factor)[:length]
    # Rounding of the rates can leave a long crop a few samples short.
    crop = F.pad(crop, (0, length - len(crop)))
    if augmentation.mixture and _uniform(generator, 0, 1) < augmentation.mixture:
        other = pool.crop(generator, length)
        level = 10 ** (_uniform(generator, *augmentation.mixture_db) / 20)
        crop = crop + other * (level * crop.norm() / other.norm().clamp_min(1e-4))
    return Drawn(_coloured(crop, generator, augmentation), clip, start, factor)


def colour(signal: Tensor, generator: torch.Generator, augmentation: Augmentation) -> Tensor:
    """Change timbre, loudness and noise of a signal `[S]`, but not when things happen; some signals stay as they are.

    Example:
        >>> colour(torch.ones(800), torch.Generator().manual_seed(0), Augmentation(plain=1.0)).mean()
        tensor(1.)
    """
    if _uniform(generator, 0, 1) < augmentation.plain:
        return signal
    return _coloured(signal, generator, augmentation)


def _coloured(signal: Tensor, generator: torch.Generator, augmentation: Augmentation) -> Tensor:
    signal = tilt(signal, generator, augmentation.tilt_db)
    if augmentation.bandwidth and _uniform(generator, 0, 1) < augmentation.bandwidth:
        signal = low_pass(signal, _uniform(generator, *augmentation.cutoff))
    peak = signal.abs().max().clamp_min(1e-4)
    signal = signal * (10 ** (_uniform(generator, *augmentation.gain_db) / 20) / peak)
    if _uniform(generator, 0, 1) < 1 / 3:
        level = 10 ** (_uniform(generator, *augmentation.noise_db) / 20)
        signal = signal + level * torch.randn(len(signal), generator=generator)
    return signal


def change_speed(signal: Tensor, factor: float) -> Tensor:
    """Play a signal `[S]` faster by `factor` (pitch rises with it); returns about `S / factor` samples."""
    import soxr

    rate = round(factor * 10_000)
    faster = soxr.resample(signal.numpy(), rate, 10_000, quality="HQ")
    return torch.from_numpy(np.asarray(faster, np.float32))


def tilt(signal: Tensor, generator: torch.Generator, deviation_db: float, *, bands: int = 8) -> Tensor:
    """Multiply the spectrum of a signal `[S]` by a smooth random curve over logarithmic frequency."""
    gains = torch.randn(bands, generator=generator) * deviation_db
    spectrum = torch.fft.rfft(signal)
    octave = torch.linspace(0, 1, len(spectrum)).clamp_min(2.0**-bands).log2() / bands + 1
    curve = F.interpolate(gains[None, None], len(spectrum) * 2 + 1, mode="linear", align_corners=True)[0, 0]
    picked = curve[(octave * (len(spectrum) * 2)).long()]
    return torch.fft.irfft(spectrum * 10 ** (picked / 20), n=len(signal))


def low_pass(signal: Tensor, cutoff: float) -> Tensor:
    """Remove what lies above a share of the highest frequency of a signal `[S]`, over a twentieth of the spectrum.

    Example:
        >>> low_pass(torch.tensor([1.0, -1.0] * 50), 0.5).abs().max().item() < 1e-6
        True
    """
    spectrum = torch.fft.rfft(signal)
    gain = ((cutoff - torch.linspace(0, 1, len(spectrum))) / 0.05 + 1).clamp(0, 1)
    return torch.fft.irfft(spectrum * gain, n=len(signal))
