"""Linear layers by whichever product: the same to rounding, for every count of rows."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from tests.near import assert_near
from tokaudio.nn import products
from tokaudio.nn.products import gated_product, product


def linear(inputs: int, outputs: int, *, bias: bool) -> nn.Linear:
    torch.manual_seed(inputs)
    return nn.Linear(inputs, outputs, bias=bias)


def gated_twin(up: nn.Linear, down: nn.Linear, x: Tensor) -> Tensor:
    wide = nn.functional.linear(x.double(), up.weight.double(), None if up.bias is None else up.bias.double())
    half = wide.shape[-1] // 2
    inner = wide[..., :half] * wide[..., half:] * wide[..., half:].sigmoid()
    return nn.functional.linear(inner, down.weight.double(), None if down.bias is None else down.bias.double())


@pytest.fixture(params=["fast", "plain"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "plain":
        monkeypatch.setattr(products, "_one_dnn", lambda: None)
    return str(request.param)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1,), (12,), (2, 5), (520,), (0,)])
@pytest.mark.parametrize("learning", [True, False])
def test_products_are_those_of_the_layers(way: str, bias: bool, shape: tuple[int, ...], learning: bool):
    first, up, down = linear(24, 10, bias=bias), linear(24, 12, bias=bias), linear(6, 5, bias=bias)
    x = torch.randn(*shape, 24, generator=torch.Generator().manual_seed(0))
    kept = x.clone()
    with torch.set_grad_enabled(learning):
        assert_near(product(first, x), first(x))
        found = gated_product(up, down, x)
    assert_near(found.double(), gated_twin(up, down, x))
    assert found.requires_grad is learning and torch.equal(x, kept)


@torch.no_grad()
def test_other_layouts_and_types_go_the_plain_way():
    layer = linear(8, 4, bias=True)
    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(0)).T
    assert_near(product(layer, x), layer(x))
    assert_near(product(layer.double(), x.double()), layer(x.double()))


def test_where_the_routine_is_missing_or_wrong_there_is_none(monkeypatch: pytest.MonkeyPatch):
    def wrong(x: Tensor, *rest: object) -> Tensor:
        return x

    wrong.binary = lambda x, *rest: x  # type: ignore[attr-defined]
    for library in (SimpleNamespace(), SimpleNamespace(_linear_pointwise=wrong)):
        monkeypatch.setattr(torch.ops, "mkldnn", library)
        assert products._one_dnn.__wrapped__() is None
