"""Winograd's convolutions of 3 taps: PyTorch's results at every length, and when they are used."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.near import assert_near
from tokaudio.nn import whole_signal, winograd
from tokaudio.nn.conv import Conv1d
from tokaudio.nn.winograd import centred, factors_of, pays


def plain(weight: torch.Tensor, bias: torch.Tensor | None, steps: torch.Tensor) -> torch.Tensor:
    return F.conv1d(steps.T[None], weight, bias, padding=1)[0].T


@settings(max_examples=60, deadline=None)
@given(length=st.integers(1, 90), bias=st.booleans(), slice_=st.sampled_from([4, 12, 1024]), view=st.booleans())
def test_every_length_is_pytorchs(length: int, bias: bool, slice_: int, view: bool) -> None:
    weight, shift = torch.randn(5, 7, 3), torch.randn(5) if bias else None
    steps = torch.randn(7, length).T if view else torch.randn(length, 7)
    with mock.patch.object(winograd, "_SLICE", slice_):
        assert_near(centred(steps, factors_of(weight), shift), plain(weight, shift, steps))


def test_slices_give_the_same_bits_as_the_whole() -> None:
    weight, steps = torch.randn(32, 32, 3), torch.randn(3000, 32)
    found = centred(steps, factors_of(weight), None)
    assert_near(found, plain(weight, None, steps))
    again = centred(steps.clone(), factors_of(weight), None)
    assert torch.equal(found, again)


def test_only_large_products_on_a_cpu_pay() -> None:
    with torch.no_grad():
        assert pays(torch.zeros(256, 32), 32)
        assert not pays(torch.zeros(255, 32), 32)
        assert not pays(torch.zeros(256, 16), 32)
        assert not pays(torch.zeros(256, 32), 16)
        assert not pays(torch.zeros(256, 32).double(), 32)
        with mock.patch.object(winograd, "compiled", lambda name: None):
            assert not pays(torch.zeros(256, 32), 32)
    assert not pays(torch.zeros(256, 32), 32)


@pytest.mark.parametrize("length", [255, 256, 400])
def test_units_agree_with_their_layers(length: int) -> None:
    torch.manual_seed(0)
    unit = whole_signal.ResnetUnit(64)
    for layer in unit.body:
        if isinstance(layer, Conv1d):
            torch.nn.init.normal_(layer.bias)
    steps = torch.randn(length, 64)
    with torch.no_grad(), mock.patch.object(whole_signal, "centred", wraps=centred) as used:
        assert_near(unit.stage()(steps, True), unit(steps.T[None])[0].T)
    assert used.call_count == (2 if length >= 256 else 0)
