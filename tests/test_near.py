"""The comparison that other tests stand on must itself refuse what it should."""

import pytest
import torch

from tests.near import assert_near


def test_what_is_near_and_what_is_not():
    wanted = torch.tensor([0.0, 1000.0])
    assert_near(wanted + torch.tensor([0.009, 0.0]), wanted)
    for found in (wanted + 0.011, wanted * float("nan"), wanted[:1]):
        with pytest.raises(AssertionError):
            assert_near(found, wanted)
    assert_near(wanted[:0], wanted[:0])
