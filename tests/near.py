"""How close two float results must be: as a share of the largest value, never of each single one.

float32 sums taken in another order (another machine, another alignment, another number of threads) differ by a few
millionths of the largest intermediate value. A tolerance for each element on its own fails by chance wherever an
element happens to be near zero; one relative to the peak does not, and still sees every real mistake.
"""

from __future__ import annotations

from torch import Tensor


def assert_near(found: Tensor, wanted: Tensor, *, within: float = 1e-5) -> None:
    """Require equal shapes and `|found - wanted| <= within * max(1, peak of wanted)` everywhere."""
    assert found.shape == wanted.shape, f"shape {tuple(found.shape)}, wanted {tuple(wanted.shape)}"
    if not wanted.numel():
        return
    found, wanted = found.detach().double().cpu(), wanted.detach().double().cpu()
    scale = max(1.0, float(wanted.abs().max()))
    worst = float((found - wanted).abs().max())
    assert worst <= within * scale, f"differs by {worst:.3g}, allowed {within:g} of {scale:.3g}"
