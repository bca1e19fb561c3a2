import pytest
import torch

from tests.near import assert_near
from tokaudio.quantizers import make_quantizer
from tokaudio.quantizers.banded import BandedQuantizer
from tokaudio.quantizers.residual import ResidualVectorQuantizer


def make(**options) -> BandedQuantizer:
    torch.manual_seed(0)
    quantizer = make_quantizer("banded", {"dim": 12, "codebook_size": 16, "bands": 3, **options})
    assert isinstance(quantizer, BandedQuantizer)
    quantizer.initialise(torch.randn(300, 12))
    return quantizer.eval()


def test_every_band_is_quantized_as_it_would_be_alone():
    quantizer, latents = make(codebooks_per_band=2), torch.randn(2, 12, 9)
    codes = quantizer.encode(latents)
    for band, part in enumerate(latents.chunk(3, dim=1)):
        alone = quantizer.groups[band]
        assert isinstance(alone, ResidualVectorQuantizer)
        own = [k for k in range(6) if quantizer.band_of(k) == band]
        assert own == [band, band + 3]
        assert torch.equal(codes[:, own], alone.encode(part))
        assert_near(quantizer.decode(codes)[:, 4 * band : 4 * band + 4], alone.decode(codes[:, own]))


@pytest.mark.parametrize("index", range(6))
def test_a_code_moves_its_own_band_only(index: int):
    quantizer = make(codebooks_per_band=2)
    codes = quantizer.encode(torch.randn(1, 12, 5))
    other = codes.clone()
    other[:, index] = (other[:, index] + 1) % 16
    moved = (quantizer.decode(other) != quantizer.decode(codes)).any(2)[0].unflatten(0, (3, 4)).any(1)
    assert moved.nonzero().flatten().tolist() == [quantizer.band_of(index)]
    outside = quantizer.codebook(index).unflatten(1, (3, 4)).abs().amax((0, 2)).nonzero().flatten()
    assert outside.tolist() == [quantizer.band_of(index)]


def test_codebooks_and_bands_that_do_not_exist_are_refused():
    for index in (-1, 3):
        with pytest.raises(IndexError):
            make().band_of(index)
    with pytest.raises(ValueError, match="divide"):
        BandedQuantizer(10, 16, bands=3)
