"""What each codebook adds to the sound: decoding with more and more of them, and with one of them made meaningless.

    meter = AblationMeter(tokenizer)
    for samples, sample_rate in recordings:
        meter.add(samples, sample_rate)
    meter.finish().prefixes[3].gains["mel distance"].value

A codebook is made meaningless in two ways: its codes are put in random order over time, or all of them replaced by the
one nearest to their mean vector. Where codebooks add up in one space, as residual ones do, the decoder then hears what
it never heard in training, so that what is lost is more than what the codebook carries; results are flagged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokaudio.analysis.decoding.ablation_results import Ablation, BandAttribution, LeftOut, Prefix, Way
from tokaudio.analysis.decoding.bands import band_levels, band_shares, difference_spectrum
from tokaudio.analysis.decoding.excerpts import MAX_SECONDS, excerpt
from tokaudio.analysis.decoding.interventions import constant, mean_codes, shares_space, shuffled
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.analysis.statistics.ratios import Estimate, RatioSums
from tokaudio.audio import resample
from tokaudio.audio.attributes import octave_bands
from tokaudio.metrics.spectral import mel_distance
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokens import Tokens

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """How good a reconstruction is.

    Attributes:
        name: that a table calls it.
        measure: of original `[S]`, reconstruction `[S]` and their rate in Hz.
        lower_is_better: or else higher is.

    Example:
        >>> Metric("loudness", lambda original, rebuilt, rate: float(abs(rebuilt).max())).name
        'loudness'
    """

    name: str
    measure: Callable[[Values, Values, int], float]
    lower_is_better: bool = False


def _mel(original: Values, rebuilt: Values, rate: int) -> float:
    # The same time and as many bands per filter at all rates: 64 ms at 16 kHz.
    length = 1024 if rate <= 24_000 else 2048
    return mel_distance(original, rebuilt, rate, n_fft=length, hop_length=length // 4, num_mels=40)


MEL_DISTANCE = Metric("mel distance", _mel, lower_is_better=True)
"""Mean difference of log10 mel magnitudes, 40 bands."""


class AblationMeter:
    """Measures what codebooks add, recording by recording; each is decoded about three times per codebook.

    Args:
        tokenizer: that decodes.
        metrics: of different names.
        bands: lowest and highest frequency in Hz of each; None for octaves from 500 Hz on.
        max_seconds: of each recording; what comes later is not used.
        seed: of the shuffling.

    Raises:
        TokensError: if the tokenizer does not decode.
        AnalysisError: if there is no metric, or two have the same name.

    Example:
        >>> meter = AblationMeter(Tokenizer.from_pretrained("mini-codec"))
        >>> meter.add(torch.randn(800, generator=torch.Generator().manual_seed(0)) / 10, 16_000)
        >>> [prefix.codebooks for prefix in meter.finish().prefixes]
        [1, 2, 3, 4, 5, 6, 7, 8]
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        metrics: Sequence[Metric] = (MEL_DISTANCE,),
        bands: Sequence[tuple[float, float]] | None = None,
        max_seconds: float = MAX_SECONDS,
        seed: int = 0,
    ) -> None:
        if not tokenizer.decodes:
            raise tokenizer.no_decoder()
        names = [metric.name for metric in metrics]
        if not names or len(set(names)) < len(names):
            raise AnalysisError(f"metrics are {names}; give at least one, each once")
        self.tokenizer, self._metrics, self._max_seconds, self._seed = tokenizer, tuple(metrics), max_seconds, seed
        self._spec = tokenizer.spec
        self._bands = tuple(octave_bands(self._spec.output_sample_rate) if bands is None else bands)
        count, kinds = self._spec.num_codebooks, len(names)
        self._counts = range(tokenizer.least_codebooks, count + 1)
        self._tables = tokenizer.codebooks()
        # Scores, and how much better each is than the one before it, or worse than all codebooks.
        self._prefixes = RatioSums((len(self._counts), 2, kinds))
        self._left_out = RatioSums((count, 2, 2, kinds))
        self._levels = RatioSums((count, len(self._bands)))
        self._energies: list[Values | None] = [None] * count
        self._seconds = 0.0

    def add(self, audio: Any, sample_rate: int | None = None) -> None:
        """Take a recording.

        Args:
            audio: samples `[S]` or `[C, S]`, or a path.
            sample_rate: of the samples in Hz; None for the tokenizer's, or the file's.

        Raises:
            AudioError: if the audio is unusable.
            AnalysisError: if the tokenizer uses different numbers of codebooks at different frames.
        """
        sound = torch.from_numpy(excerpt(audio, sample_rate, self._spec, max_seconds=self._max_seconds))
        if not sound.shape[1]:
            return
        original = resample(sound, self._spec.sample_rate, self._spec.output_sample_rate).mean(0)
        tokens = self.tokenizer.encode(sound)
        whole = self.tokenizer.decode(tokens)
        best = self._add_prefixes(tokens, whole, original)
        self._add_left_out(tokens, whole, original, best)
        self._seconds += sound.shape[1] / self._spec.sample_rate

    def finish(self) -> Ablation:
        """Return what was measured."""
        if not self._prefixes.recordings:
            raise AnalysisError("no recording was given; give at least one with samples")
        return Ablation(
            self._finished_prefixes(),
            self._finished_left_out(),
            self._bands,
            self._finished_bands(),
            self._prefixes.recordings,
            self._seconds,
        )

    def _add_prefixes(self, tokens: Tokens, whole: Tensor, original: Tensor) -> Values:
        """Return the scores of all codebooks."""
        sounds = (self.tokenizer.decode(tokens.select_codebooks(count)) for count in self._counts[:-1])
        scores = np.stack([*(self._scores(sound, original) for sound in sounds), self._scores(whole, original)])
        gains = np.concatenate([np.zeros_like(scores[:1]), self._better(np.diff(scores, axis=0))])
        self._prefixes.add(np.stack([scores, gains], axis=1), 1.0)
        last: Values = scores[-1]
        return last

    def _add_left_out(self, tokens: Tokens, whole: Tensor, original: Tensor, best: Values) -> None:
        rate = self._spec.output_sample_rate
        before = band_levels(whole, rate, self._bands)
        rows, levels = [], []
        for index, table in enumerate(self._tables):
            changed = self.tokenizer.decode(shuffled(tokens, index, seed=self._seed + self._prefixes.recordings))
            level = self.tokenizer.decode(constant(tokens, index, mean_codes(tokens, index, table)))
            scores = np.stack([self._scores(changed, original), self._scores(level, original)])
            rows.append(np.stack([scores, self._better(best - scores)], axis=1))
            energies = difference_spectrum(whole, changed)
            known = self._energies[index]
            self._energies[index] = energies if known is None else known + energies
            levels.append(np.abs(band_levels(changed, rate, self._bands) - before)[0].mean(1))
        self._left_out.add(np.stack(rows), 1.0)
        self._levels.add(np.stack(levels), 1.0)

    def _scores(self, sound: Tensor, original: Tensor) -> Values:
        """Return the scores of a decoded sound `[1, C, S]`, one per metric."""
        pair = (original.double().cpu().numpy(), sound[0].mean(0).double().cpu().numpy())
        return np.array([metric.measure(*pair, self._spec.output_sample_rate) for metric in self._metrics])

    def _better(self, differences: Values) -> Values:
        """Return differences of scores `[..., metrics]`, so that more is better."""
        return differences * np.array([-1.0 if metric.lower_is_better else 1.0 for metric in self._metrics])

    def _named(self, estimates: Sequence[Estimate]) -> dict[str, Estimate]:
        return {metric.name: one for metric, one in zip(self._metrics, estimates, strict=True)}

    def _finished_prefixes(self) -> tuple[Prefix, ...]:
        found = iter(_groups(self._prefixes.estimates(), len(self._metrics)))
        rows = [(count, self._named(next(found)), self._named(next(found))) for count in self._counts]
        return tuple(Prefix(count, scores, gains if at else {}) for at, (count, scores, gains) in enumerate(rows))

    def _finished_left_out(self) -> tuple[LeftOut, ...]:
        found = iter(_groups(self._left_out.estimates(), len(self._metrics)))
        ways: tuple[Way, ...] = ("shuffled", "mean")
        return tuple(
            LeftOut(index, way, self._named(next(found)), self._named(next(found)), shared)
            for index, shared in enumerate(shares_space(self.tokenizer))
            for way in ways
        )

    def _finished_bands(self) -> tuple[BandAttribution, ...]:
        levels = _groups(self._levels.estimates(), len(self._bands))
        rate = self._spec.output_sample_rate
        return tuple(
            BandAttribution(tuple(band_shares(energies, rate, self._bands).tolist()), tuple(level))
            for energies, level in zip(self._energies, levels, strict=True)
            if energies is not None
        )


def ablation(
    tokenizer: Tokenizer,
    recordings: Iterable[tuple[Any, int | None]],
    *,
    metrics: Sequence[Metric] = (MEL_DISTANCE,),
    bands: Sequence[tuple[float, float]] | None = None,
    max_seconds: float = MAX_SECONDS,
    seed: int = 0,
) -> Ablation:
    """Measure what each codebook adds to the decoded sound.

    Args:
        tokenizer: that decodes.
        recordings: audio (samples or a path) and sample rate of each, None for a path.
        metrics: of different names.
        bands: lowest and highest frequency in Hz of each; None for octaves from 500 Hz on.
        max_seconds: of each recording.
        seed: of the shuffling.

    Raises:
        TokensError: if the tokenizer does not decode.
        AnalysisError: if there is no recording, or no metric.
        AudioError: if a recording is unusable.

    Example:
        >>> sound = torch.randn(800, generator=torch.Generator().manual_seed(0)) / 10
        >>> found = ablation(Tokenizer.from_pretrained("mini-codec"), [(sound, 16_000)])
        >>> found.left_out[0].off_distribution, len(found.attribution)
        (True, 8)
    """
    meter = AblationMeter(tokenizer, metrics=metrics, bands=bands, max_seconds=max_seconds, seed=seed)
    for audio, sample_rate in recordings:
        meter.add(audio, sample_rate)
    return meter.finish()


def _groups(estimates: Sequence[Estimate], size: int) -> list[Sequence[Estimate]]:
    return [estimates[first : first + size] for first in range(0, len(estimates), size)]
