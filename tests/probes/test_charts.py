"""Bars and radars: coordinates keep order, proportion and bounds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaudio.probes.pages.bars import WIDTH, Bar, bar_chart
from tokaudio.probes.pages.radar import SIZE, radar

VALUES = st.lists(st.floats(-20, 20).map(lambda value: round(value, 3)), min_size=1, max_size=6)


@given(VALUES)
def test_bars_are_proportional_and_within(values: list[float]) -> None:
    chart = bar_chart("a", [Bar(str(number), value, (value - 1, value + 1)) for number, value in enumerate(values)])
    zero = next(tick.at for tick in chart.across if tick.text in ("0", "-0"))
    for bar, value in zip(chart.bars, values, strict=True):
        assert 0 <= bar.x0 <= bar.x1 <= WIDTH and bar.whisker is not None
        assert zero in (bar.x0, bar.x1)
        middle = sum(bar.whisker) / 2
        assert middle == pytest.approx(bar.x1 if value >= 0 else bar.x0, abs=0.2)
    ats = [tick.at for tick in chart.across]
    assert ats == sorted(ats) and 2 <= len(ats) <= 8 and ats[0] >= 0 and ats[-1] <= WIDTH


def test_bars_of_nothing_have_an_axis() -> None:
    chart = bar_chart("a", [Bar("a", 0.0)], scale=100, unit="%")
    assert chart.across[0].text == "0 %" and len(chart.across) > 1 and chart.bars[0].x0 == chart.bars[0].x1


def test_marks_are_on_the_scale_of_bars() -> None:
    chart = bar_chart("a", [Bar("a", 0.5, marks={"best": 0.9, "same": 0.5})], scale=100, unit="%")
    (bar,) = chart.bars
    assert dict(bar.marks)["same"] == bar.x1 < dict(bar.marks)["best"]
    assert chart.across[-1].text == "100 %"


@given(st.lists(st.none() | st.floats(-1, 2), min_size=3, max_size=12))
def test_spokes_are_as_long_as_their_values(values: list[float | None]) -> None:
    chart = radar("a", {str(number): value for number, value in enumerate(values)})
    middle = SIZE / 2
    for spoke, value in zip(chart.spokes, values, strict=True):
        whole = math.dist(spoke.end, (middle, middle))
        assert 0 <= spoke.label[0] <= SIZE and 0 <= spoke.label[1] <= SIZE
        if value is None:
            assert spoke.dot is None
        else:
            assert spoke.dot is not None
            assert math.dist(spoke.dot, (middle, middle)) == pytest.approx(whole * min(1, max(0, value)), abs=0.2)


def test_two_tasks_make_no_radar() -> None:
    with pytest.raises(ValueError, match="2 tasks make no radar"):
        radar("a", {"ks": 1.0, "si": 0.5})
