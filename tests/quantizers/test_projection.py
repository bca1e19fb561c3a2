"""Projections in front of and behind a search, row by row and across whole batches."""

import pytest
import torch

from tests.near import assert_near
from tokaudio.quantizers.projection import Projection, project_across, projection


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_across_a_batch_is_row_by_row(bias: bool, turned: bool):
    torch.manual_seed(0)
    layer = Projection(6, 3, bias=bias)
    latents = torch.randn(2, 5, 6).transpose(1, 2) if turned else torch.randn(2, 6, 5)
    given = [latents.clone().requires_grad_() for _ in range(2)]
    found, wanted = layer.across(given[0]), layer(given[1].transpose(1, 2)).transpose(1, 2)
    assert_near(found, wanted)
    found.square().sum().backward()
    weight = layer.weight.grad.clone()
    layer.zero_grad()
    wanted.square().sum().backward()
    assert_near(given[0].grad, given[1].grad)
    assert_near(weight, layer.weight.grad)


def test_half_precision_is_computed_in_float32():
    layer = Projection(6, 3).bfloat16()
    latents = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        found = layer.across(latents)
    assert found.dtype == torch.float32
    assert_near(found, layer.float().across(latents))
    assert layer.across(latents.double()).dtype == torch.float64


def test_equal_widths_need_no_projection():
    latents = torch.zeros(1, 4, 2)
    assert project_across(projection(4, 4), latents) is latents
    assert project_across(projection(4, 2), latents).shape == (1, 2, 2)
