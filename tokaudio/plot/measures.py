"""Pictures of what was measured of codebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tokaudio.analysis.codes.rarefaction import Rarefaction
from tokaudio.analysis.decoding.ablation_results import Ablation
from tokaudio.analysis.frames.associations import Association
from tokaudio.analysis.robustness.results import Robustness
from tokaudio.analysis.single_codes.codebook_map import CodebookMap
from tokaudio.analysis.single_codes.prototype_results import Prototype
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.plot.parts import axes_or_new, colours, heat_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def role_heat_map(found: Sequence[Association], *, ax: Axes | None = None) -> Axes:
    """Draw how much each codebook says about each attribute: shares of what there is to know.

    Args:
        found: associations of codebooks and attributes, each pair once.
        ax: to draw into; None for a new figure.

    Raises:
        AnalysisError: if there are none.
        MissingDependencyError: if matplotlib is not installed.

    Example:
        >>> from tokaudio.analysis.frames.associations import associations
        >>> from tokaudio.analysis.frames.sampling import FrameSample
        >>> sample = FrameSample()
        >>> for number in range(20):
        ...     sample.add(np.arange(100)[None] % 4, {"energy": np.arange(100.0) % 4})
        >>> role_heat_map(associations(sample.finish())).get_xticklabels()[0].get_text()
        'energy'
    """
    if not found:
        raise AnalysisError("there is no association; give those of a report with sound or labels")
    attributes = list(dict.fromkeys(one.attribute for one in found))
    books = sorted({one.codebook for one in found})
    scores = np.full((len(books), len(attributes)), np.nan)
    for one in found:
        scores[books.index(one.codebook), attributes.index(one.attribute)] = one.score
    ax = heat_map(scores, books, attributes, ax=ax, most=1.0)
    ax.set(title="share of what there is to know")
    return ax


def band_attribution(found: Ablation, *, levels: bool = False, ax: Axes | None = None) -> Axes:
    """Draw where in the spectrum each codebook acts.

    Args:
        found: by `tokaudio.analysis.decoding.ablation`.
        levels: draw by how many dB each band changes when the codes are shuffled, not its share of the difference.
        ax: to draw into; None for a new figure.

    Raises:
        MissingDependencyError: if matplotlib is not installed.

    Example:
        >>> from tokaudio.analysis.decoding.ablation_results import BandAttribution
        >>> books = (BandAttribution((0.9, 0.1), ()), BandAttribution((0.2, 0.8), ()))
        >>> ax = band_attribution(Ablation((), (), ((0, 4_000), (4_000, 8_000)), books, 1, 2.0))
        >>> ax.get_xticklabels()[1].get_text(), ax.get_images()[0].get_array().shape
        ('4 to 8 kHz', (2, 2))
    """
    values = [[level.value for level in one.levels] if levels else one.shares for one in found.attribution]
    names = [f"{low / 1000:g} to {high / 1000:.4g} kHz" for low, high in found.bands]
    ax = heat_map(np.array(values, dtype=float), range(len(values)), names, ax=ax, most=None if levels else 1.0)
    ax.set(title="change of level, dB" if levels else "share of what changes")
    return ax


def robustness(found: Robustness, *, edits: bool = False, ax: Axes | None = None) -> Axes:
    """Draw which share of the codes of each codebook stays when the sound changes.

    Args:
        found: by `tokaudio.analysis.robustness.robustness`.
        edits: draw the unit edit distance in place of the agreement.
        ax: to draw into; None for a new figure.

    Raises:
        AnalysisError: if nothing was measured.
        MissingDependencyError: if matplotlib is not installed.

    Example:
        >>> import torch
        >>> from tokaudio import Tokenizer
        >>> from tokaudio.analysis.robustness.robustness import robustness as measure
        >>> from tokaudio.analysis.robustness.transforms import Gain
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> found = measure(codec, [(torch.ones(800), 16_000)], transforms=[Gain(0.0)])
        >>> robustness(found).get_xticklabels()[0].get_text()
        'gain +0 dB'
    """
    if not found.transforms:
        raise AnalysisError("no change was measured; give robustness of at least one")
    books = range(len(found.transforms[0].codebooks))
    values = [
        [
            (one.codebooks[book].edit_distance if edits else one.codebooks[book].agreement).value
            for one in found.transforms
        ]
        for book in books
    ]
    ax = heat_map(np.array(values), books, [one.name for one in found.transforms], ax=ax, most=1.0)
    ax.set(title="unit edit distance" if edits else "share of codes that stay")
    return ax


def rarefaction(found: Mapping[str, Rarefaction], *, ax: Axes | None = None) -> Axes:
    """Draw how the share of a codebook that is used grows with the codes that are seen.

    Args:
        found: of each codebook or tokenizer, by the name that the legend gives it.
        ax: to draw into; None for a new figure.

    Raises:
        AnalysisError: if there is none.
        MissingDependencyError: if matplotlib is not installed.

    Example:
        >>> from tokaudio.analysis.codes.rarefaction import rarefaction as of_counts
        >>> ax = rarefaction({"codebook 0": of_counts([5, 3, 1], 8)})
        >>> ax.get_xlabel(), len(ax.get_lines())
        ('codes seen', 1)
    """
    if not found:
        raise AnalysisError("there is no curve; give at least one")
    ax = axes_or_new(ax)
    for name, one in found.items():
        seen, used = np.array(one.curve).T
        ax.plot(seen, used / one.size, label=name)
    ax.set(xlabel="codes seen", ylabel="share of the codebook", xscale="log", ylim=(0.0, 1.0))
    ax.legend()
    return ax


def codebook_map(
    found: CodebookMap, *, counts: ArrayLike | None = None, labels: Sequence[str] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a codebook as points in a plane.

    Args:
        found: by `tokaudio.analysis.single_codes.codebook_map`.
        counts: how often each code occurs `[V]`, shown by the size of its point; those that never do are grey.
        labels: of each code, such as its top phone, shown by colour; None for one colour.
        ax: to draw into; None for a new figure.

    Raises:
        AnalysisError: if counts or labels are not one for each code.
        MissingDependencyError: if matplotlib is not installed.

    Example:
        >>> from tokaudio.analysis.single_codes.codebook_map import codebook_map as plane
        >>> ax = codebook_map(plane(np.eye(4)), counts=[5, 0, 2, 1])
        >>> len(ax.collections[0].get_offsets())
        4
    """
    number = len(found.points)
    times = np.ones(number) if counts is None else np.asarray(counts, dtype=float)
    if times.shape != (number,) or (labels is not None and len(labels) != number):
        raise AnalysisError(f"counts or labels do not fit {number} codes; give one for each")
    ax = axes_or_new(ax)
    sizes = 4 + 60 * times / max(float(times.max()), 1.0)
    for name, colour in colours(labels).items():
        chosen = np.array([label == name for label in labels]) if labels is not None else np.full(number, True)
        shades = [colour if time else "lightgrey" for time in times[chosen]]
        label = name if labels is not None else None
        across, up = found.points[chosen].T
        ax.scatter(across, up, s=sizes[chosen], c=shades, label=label, linewidths=0)
    if found.explained is not None:
        first, second = found.explained
        ax.set(xlabel=f"axis 1, {100 * first:.0f} % of the variance", ylabel=f"axis 2, {100 * second:.0f} %")
    if labels is not None:
        ax.legend(markerscale=1.0, fontsize="small")
    return ax


def prototype(found: Prototype, mel_centres: Sequence[float], *, ax: Axes | None = None) -> Axes:
    """Draw the mean spectrum of a code, with one standard deviation to either side.

    Args:
        found: of one code.
        mel_centres: of the bands, in Hz.
        ax: to draw into; None for a new figure.

    Raises:
        AnalysisError: if there is not one centre for each band.
        MissingDependencyError: if matplotlib is not installed.

    Example:
        >>> from tokaudio.analysis.single_codes.prototypes import PrototypeMeter
        >>> from tokaudio.tokens import CodebookSpec, TokenizerSpec
        >>> meter = PrototypeMeter(TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),)))
        >>> meter.add([[3, 3]], [np.ones((1, 640))], 16_000, name="a.wav")
        >>> found = meter.finish()
        >>> prototype(found.codebooks[0][0], found.mel_centres).get_title()
        'codebook 0, code 3, 2 frames'
    """
    if len(mel_centres) != len(found.levels):
        raise AnalysisError(f"{len(mel_centres)} centres for {len(found.levels)} bands; give one for each")
    ax = axes_or_new(ax)
    kilohertz = np.array(mel_centres) / 1000
    levels, spread = np.array(found.levels), np.array(found.spread)
    ax.plot(kilohertz, levels)
    ax.fill_between(kilohertz, levels - spread, levels + spread, alpha=0.3, linewidth=0)
    ax.set(xlabel="kHz", ylabel="dB", title=f"codebook {found.codebook}, code {found.code}, {found.frames} frames")
    return ax
