"""Pictures of sounds and codes: what is drawn is what there is, at the time at which it is."""

from __future__ import annotations

import ast
import io
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from tokaudio import plot
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.errors import AudioError, MissingDependencyError
from tokaudio.plot import codes, codes_under_spectrogram, spectrogram
from tokaudio.tokens import CodebookSpec, TokenizerSpec, Tokens

SPEC = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(1024),) * 3)


def tokens(frames: int = 50) -> Tokens:
    return Tokens.from_codes(torch.arange(3 * frames).view(3, frames) % 7, SPEC)


def test_a_tone_is_bright_where_it_is() -> None:
    times = np.arange(16_000) / 16_000
    ax = spectrogram(np.sin(2 * np.pi * 2_000 * times) * (times > 0.5), 16_000)
    [image] = ax.get_images()
    shown = np.asarray(image.get_array())
    assert image.get_extent() == [0.0, 1.0, 0.0, 8.0] and image.origin == "lower"
    loudest = np.unravel_index(shown.argmax(), shown.shape)
    assert loudest[0] / (shown.shape[0] - 1) * 8 == pytest.approx(2.0, abs=0.05)
    assert loudest[1] / shown.shape[1] > 0.5 and shown[:, : shown.shape[1] // 3].max() < image.norm.vmax - 80
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("seconds", "kHz")


def test_equal_codes_have_equal_colours_and_neighbours_do_not() -> None:
    [image] = codes(tokens()).get_images()
    shown, held = np.asarray(image.get_array()), tokens().numpy()[0]
    assert shown.shape == (3, 50)
    for code in range(7):
        assert len(np.unique(shown[held == code])) == 1
    shades = [float(shown[held == code][0]) for code in range(7)]
    assert len(set(shades)) == 7 and min(abs(a - b) for a, b in itertools.pairwise(shades)) > 0.3


def test_the_first_codebook_is_on_top_and_time_is_in_seconds() -> None:
    ax = codes(tokens())
    assert ax.get_images()[0].get_extent() == [0.0, 1.0, 2.5, -0.5]
    assert ax.get_yticks().tolist() == [0, 1, 2]


def test_what_is_not_there_is_not_drawn() -> None:
    deep = Tokens(tokens(2).codes, torch.tensor([2]), torch.tensor([640]), SPEC, depth=torch.tensor([[3, 1]]))
    [image] = codes(deep).get_images()
    assert np.ma.getmaskarray(image.get_array()).tolist() == [[False, False], [False, True], [False, True]]


def test_both_share_their_time_and_can_be_written() -> None:
    upper, lower = codes_under_spectrogram(tokens(), torch.zeros(2, 16_000), 16_000)
    assert upper.get_xlim() == lower.get_xlim() == (0.0, 1.0) and upper.get_xlabel() == ""
    assert upper.get_position().y0 > lower.get_position().y0
    held = io.BytesIO()
    upper.figure.savefig(held, format="png")
    assert held.getvalue().startswith(b"\x89PNG")


def test_given_axes_are_used_and_returned() -> None:
    both = Figure().subplots(2)
    upper, lower = codes_under_spectrogram(tokens(), np.ones(16_000), 16_000, axes=both)
    assert (upper, lower) == tuple(both)
    assert codes(tokens(), ax=upper) is upper


def test_one_item_at_a_time_and_sound_that_is_sound() -> None:
    with pytest.raises(AnalysisError, match="give one"):
        codes(Tokens.batch([tokens(), tokens()]))
    with pytest.raises(AudioError):
        spectrogram(np.full(99, np.nan), 16_000)


def test_without_matplotlib_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'tokaudio\[viz\]'"):
        codes(tokens())


@pytest.mark.parametrize("path", sorted(Path(plot.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_matplotlib_is_imported_where_something_is_drawn(path: Path) -> None:
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            assert "matplotlib" not in ast.unparse(statement)
