"""Pictures of measures: the figures that were measured, in their places."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.analysis.tones import RATE, ToneTokenizer, melody
from tokaudio import plot
from tokaudio.analysis.codes.rarefaction import rarefaction
from tokaudio.analysis.decoding.ablation import ablation
from tokaudio.analysis.frames.associations import Association, associations
from tokaudio.analysis.frames.sampling import FrameSample
from tokaudio.analysis.robustness.results import Robustness
from tokaudio.analysis.robustness.robustness import robustness
from tokaudio.analysis.robustness.transforms import Gain, Noise
from tokaudio.analysis.single_codes.codebook_map import CodebookMap
from tokaudio.analysis.single_codes.codebook_map import codebook_map as plane
from tokaudio.analysis.single_codes.prototype_results import Prototype
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.plot.parts import heat_map, some

SOUNDS = [(melody([1, 1, 1, 1], [0, 1, 2, 3]), RATE)]


def shown(ax: Axes) -> np.ndarray:
    [image] = ax.get_images()
    return np.asarray(image.get_array())


def columns(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_xticklabels()]


def told() -> list[Association]:
    """Return associations of two codebooks, of which the first is the energy."""
    sample = FrameSample()
    for number in range(20):
        random = np.random.default_rng(number)
        codes = random.integers(0, 4, (2, 200))
        sample.add(codes, {"energy": codes[0] * 10.0, "centroid": random.normal(size=200)})
    return list(associations(sample.finish()))


def test_roles_are_at_their_codebook_and_attribute() -> None:
    found = told()
    ax = plot.role_heat_map(found[::-1])
    values = shown(ax)
    for one in found:
        assert values[one.codebook, columns(ax).index(one.attribute)] == pytest.approx(one.score)
    assert values[0, columns(ax).index("energy")] > 0.9 > 0.1 > values[1, columns(ax).index("energy")]
    assert len(ax.texts) == 4 and {text.get_text() for text in ax.texts} >= {"1.00"}
    with pytest.raises(AnalysisError, match="there is no association"):
        plot.role_heat_map([])


def test_bands_are_drawn_as_shares_or_levels() -> None:
    found = ablation(ToneTokenizer(), SOUNDS, bands=[(0, 1_500), (1_500, 8_001)])
    ax = plot.band_attribution(found)
    assert columns(ax) == ["0 to 1.5 kHz", "1.5 to 8.001 kHz"]
    assert shown(ax)[0] == pytest.approx(found.attribution[0].shares)
    # The second codebook says nothing here: its cells are empty, and have no number.
    assert np.isnan(shown(ax)[1]).all() and len(ax.texts) == 2
    levels = plot.band_attribution(found, levels=True)
    assert shown(levels)[0, 0] == pytest.approx(found.attribution[0].levels[0].value) and "dB" in levels.get_title()


def test_robustness_is_drawn_by_codebook_and_change() -> None:
    found = robustness(ToneTokenizer(), SOUNDS, transforms=[Gain(-6.0206), Noise(40.0)])
    ax = plot.robustness(found)
    assert columns(ax) == ["gain -6.0206 dB", "noise 40 dB"] and shown(ax)[:, 0].tolist() == [0.0, 1.0]
    edits = plot.robustness(found, edits=True)
    assert shown(edits)[0, 0] == found.transforms[0].codebooks[0].edit_distance.value
    with pytest.raises(AnalysisError, match="no change was measured"):
        plot.robustness(Robustness((), {}, 0.0))


def test_curves_end_at_what_was_seen() -> None:
    curves = {"few": rarefaction([9, 1], 8), "many": rarefaction([5] * 6, 8)}
    ax = plot.rarefaction(curves)
    assert [line.get_label() for line in ax.get_lines()] == ["few", "many"]
    for line, curve in zip(ax.get_lines(), curves.values(), strict=True):
        seen, used = (np.asarray(part) for part in line.get_data())
        assert (seen[-1], used[-1]) == (curve.codes, curve.used / 8)
    assert ax.get_legend() is not None and ax.get_ylim() == (0.0, 1.0)
    with pytest.raises(AnalysisError, match="there is no curve"):
        plot.rarefaction({})


def test_maps_show_counts_by_size_and_labels_by_colour() -> None:
    found = plane(np.random.default_rng(0).normal(size=(6, 3)))
    [points] = plot.codebook_map(found, counts=[10, 0, 5, 1, 1, 1]).collections
    assert np.allclose(points.get_offsets(), found.points)
    sizes, colours = points.get_sizes(), points.get_facecolors()
    assert sizes[0] > sizes[2] > sizes[3] > sizes[1] and tuple(colours[1]) != tuple(colours[0])
    ax = plot.codebook_map(found, labels=["s", "a", "s", "s", "a", "m"])
    assert [group.get_label() for group in ax.collections] == ["s", "a", "m"]
    assert [len(group.get_offsets()) for group in ax.collections] == [3, 2, 1]
    assert "% of the variance" in ax.get_xlabel()
    assert plot.codebook_map(CodebookMap(found.points, "umap", None)).get_xlabel() == ""
    for wrong in ({"counts": [1]}, {"labels": ["a"]}):
        with pytest.raises(AnalysisError, match="give one for each"):
            plot.codebook_map(found, **wrong)  # type: ignore[arg-type]


def test_prototypes_show_mean_and_spread() -> None:
    code = Prototype(2, 7, 30, 0.1, (-10.0, -20.0), (1.0, 3.0), None, 0.0, (), ())
    ax = plot.prototype(code, [500, 2_000])
    [line] = ax.get_lines()
    assert np.asarray(line.get_xydata()).tolist() == [[0.5, -10.0], [2.0, -20.0]]
    [band] = ax.collections
    edges = band.get_paths()[0].vertices
    assert edges[:, 1].min() == -23 and edges[:, 1].max() == -9 and ax.get_title() == "codebook 2, code 7, 30 frames"
    with pytest.raises(AnalysisError, match="give one for each"):
        plot.prototype(code, [1])


def test_large_heat_maps_have_no_numbers_and_few_ticks() -> None:
    own = Figure().subplots()
    ax = heat_map(np.ones((40, 6)), range(40), list("abcdef"), ax=own, most=None)
    assert ax is own and not ax.texts
    assert ax.get_yticks().tolist() == some(40) and len(some(40)) <= 16


@pytest.mark.parametrize("count", [0, 1, 16, 17, 1000])
def test_ticks_begin_at_the_first_and_are_even(count: int) -> None:
    places = some(count)
    assert len(places) <= 16 and places[:1] == ([0] if count else [])
    assert len(set(np.diff(places).tolist())) <= 1
