"""Quantizers by name."""

import pytest

from tokaudio import quantizers
from tokaudio.errors import CheckpointError, UnknownNameError
from tokaudio.quantizers import FiniteScalarQuantizer, list_quantizers, make_quantizer
from tokaudio.quantizers.registry import QUANTIZERS


def test_every_listed_quantizer_is_public_and_a_quantizer():
    for name in list_quantizers():
        family = QUANTIZERS[name]
        assert issubclass(family, quantizers.Quantizer)
        assert getattr(quantizers, family.__name__) is family


def test_options_reach_the_constructor():
    quantizer = make_quantizer("fsq", {"dim": 3, "levels": [8, 5, 5]})
    assert isinstance(quantizer, FiniteScalarQuantizer)
    assert (quantizer.dim, quantizer.codebook_sizes, quantizer.num_codebooks) == (3, (200,), 1)


def test_an_unknown_name_is_answered_with_those_that_exist():
    names = ", ".join(list_quantizers())
    assert "factorized, fsq" in names and names.endswith("vq")
    with pytest.raises(UnknownNameError, match=f"'rqv'; there are {names}"):
        make_quantizer("rqv", {})


@pytest.mark.parametrize(
    ("options", "names"),
    [({"dim": 4}, "codebook_size"), ({"dim": 4, "codebook_size": 8, "warmth": 1}, "warmth")],
)
def test_options_that_are_missing_or_unknown_are_named(options: dict[str, int], names: str):
    with pytest.raises(CheckpointError, match=f"quantizer 'vq': .*{names}.*; check its options"):
        make_quantizer("vq", options)
