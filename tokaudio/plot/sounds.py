"""Pictures of sounds and of their codes, on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.audio import as_audio, to_channels
from tokaudio.plot.parts import axes_or_new, new_figure, some
from tokaudio.tokens import Tokens

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DECIBELS = 80.0
# Colours of neighbouring codes differ: a step of the golden ratio through the colours.
_GOLDEN = (5**0.5 - 1) / 2


def codes_under_spectrogram(
    tokens: Tokens, samples: Any, sample_rate: int, *, axes: Sequence[Axes] | None = None
) -> tuple[Axes, Axes]:
    """Draw a spectrogram, and the codes of the same time under it.

    Args:
        tokens: of one item.
        samples: the sound `[S]` or `[C, S]`; channels are averaged.
        sample_rate: in Hz.
        axes: upper and lower, as `figure.subplots(2)` gives them; None for a new figure.

    Raises:
        AnalysisError: if there is more than one item.
        AudioError: if the sound is unusable.
        MissingDependencyError: if matplotlib is not installed.

    Example:
        >>> import torch
        >>> from tokaudio import Tokenizer
        >>> sound = torch.randn(8_000, generator=torch.Generator().manual_seed(0)) / 10
        >>> tokens = Tokenizer.from_pretrained("mini-codec").encode(sound, 16_000)
        >>> upper, lower = codes_under_spectrogram(tokens, sound, 16_000)
        >>> lower.get_ylabel()
        'codebook'
    """
    given = new_figure().subplots(2, 1, sharex=True, height_ratios=[2, 1]) if axes is None else axes
    upper, lower = given
    spectrogram(samples, sample_rate, ax=upper)
    upper.set_xlabel("")
    codes(tokens, ax=lower)
    return upper, lower


def spectrogram(samples: Any, sample_rate: int, *, n_fft: int = 512, ax: Axes | None = None) -> Axes:
    """Draw the spectrogram of a sound, in dB below its loudest point.

    Args:
        samples: `[S]` or `[C, S]`; channels are averaged.
        sample_rate: in Hz.
        n_fft: length of the Hann windows in samples; they overlap by three quarters.
        ax: to draw into; None for a new figure.

    Raises:
        AudioError: if the sound is unusable.
        MissingDependencyError: if matplotlib is not installed.

    Example:
        >>> spectrogram(np.sin(np.arange(8_000)), 16_000).get_ylabel()
        'kHz'
    """
    mono, _ = to_channels(as_audio(samples, sample_rate).samples[:1].detach().cpu(), 1)
    wave = np.pad(mono[0, 0].double().numpy(), n_fft // 2)
    windows = np.lib.stride_tricks.sliding_window_view(wave, n_fft)[:: n_fft // 4]
    power = np.abs(np.fft.rfft(windows * np.hanning(n_fft + 2)[1:-1], axis=1)) ** 2
    levels = 10 * np.log10(np.maximum(power, 1e-20))
    ax = axes_or_new(ax)
    extent = (0.0, mono.shape[2] / sample_rate, 0.0, sample_rate / 2000)
    top = float(levels.max())
    ax.imshow(levels.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=top - _DECIBELS, vmax=top)
    ax.set(xlabel="seconds", ylabel="kHz")
    return ax


def codes(tokens: Tokens, *, ax: Axes | None = None) -> Axes:
    """Draw codes as an image: a row for each codebook, the first one on top; equal colours in a row are equal codes.

    Args:
        tokens: of one item; where a frame does not have a codebook, it is left white.
        ax: to draw into; None for a new figure.

    Raises:
        AnalysisError: if there is more than one item.
        MissingDependencyError: if matplotlib is not installed.

    Example:
        >>> import torch
        >>> from tokaudio.tokens import CodebookSpec, TokenizerSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 2)
        >>> ax = codes(Tokens.from_codes(torch.tensor([[1, 2, 3], [4, 5, 6]]), spec))
        >>> ax.get_images()[0].get_array().shape
        (2, 3)
    """
    if len(tokens) != 1:
        raise AnalysisError(f"tokens of {len(tokens)} items; give one: tokens[i]")
    item = tokens.trim()
    rows = item.codes[0].cpu().numpy() * _GOLDEN % 1.0
    shown = np.ma.masked_array(rows, ~item.code_mask[0].cpu().numpy())
    ax = axes_or_new(ax)
    count, frames = rows.shape
    extent = (0.0, frames / float(item.spec.frame_rate), count - 0.5, -0.5)
    ax.imshow(shown, aspect="auto", interpolation="nearest", extent=extent, cmap="hsv", vmin=0.0, vmax=1.0)
    ax.set(xlabel="seconds", ylabel="codebook")
    ax.set_yticks(some(count))
    return ax
