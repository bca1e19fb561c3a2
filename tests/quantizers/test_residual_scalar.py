"""Residual scalar quantization against loops in float64, and every law of quantizers."""

import math

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio.quantizers.residual_scalar import ResidualScalarQuantizer
from tokaudio.testing.quantizers import check_quantizer

STAGES = {
    "1x": [((6, 6, 6), 1.0)],
    "2x": [((5, 5, 5), 1.0), ((5, 5, 5), 0.25)],
    "4x": [((3, 3), 1.0), ((3, 3), 0.5), ((3, 3), 0.25), ((3, 3), 0.125)],
    "mixed": [((4, 2, 7), 1.0), ((3, 3, 3), 0.4)],
}


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", list(STAGES))
def test_every_law_of_quantizers_holds(name: str):
    check_quantizer(ResidualScalarQuantizer(STAGES[name]), residual=True)


@pytest.mark.parametrize("name", list(STAGES))
def test_codes_and_points_equal_a_loop(name: str):
    quantizer = ResidualScalarQuantizer(STAGES[name])
    latents = normal(2, quantizer.dim, 40)
    codes = quantizer.encode(latents)
    for item in range(2):
        for frame in range(40):
            left = [math.tanh(float(value)) for value in latents[item, :, frame]]
            sums = [0.0] * len(left)
            for number, (levels, scale) in enumerate(STAGES[name]):
                code = 0
                for place, count in enumerate(levels):
                    spacing = 2 * scale / (count - 1)
                    digit = min(max(round((left[place] + scale) / spacing), 0), count - 1)
                    code += digit * math.prod(levels[:place])
                    left[place] -= digit * spacing - scale
                    sums[place] += digit * spacing - scale
                assert int(codes[item, number, frame]) == code
            assert_near(quantizer.decode(codes)[item, :, frame], torch.tensor(sums))


def test_stages_make_the_rest_smaller():
    quantizer, latents = ResidualScalarQuantizer(STAGES["4x"]), normal(1, 2, 500)
    squashed = torch.tanh(latents)
    errors = [
        float((quantizer.decode(quantizer.encode(latents, num_codebooks=k)) - squashed).abs().max())
        for k in (1, 2, 3, 4)
    ]
    assert errors == sorted(errors, reverse=True) and errors[3] < 0.07


def test_items_may_use_fewer_stages_in_training():
    quantizer, latents = ResidualScalarQuantizer(STAGES["2x"]), normal(2, 3, 9)
    out = quantizer(latents, num_codebooks=torch.tensor([1, 2]))
    for item, depth in enumerate((1, 2)):
        assert_near(out.quantized[item], quantizer.decode(out.codes[item : item + 1, :depth])[0])


@pytest.mark.parametrize(
    ("stages", "problem"),
    [
        ([], "one or more"),
        ([((3, 3), 1.0), ((3,), 0.5)], "same dimensions"),
        ([((3, 1), 1.0)], "levels must be from 2"),
        ([((99,) * 6, 1.0)], "levels must be from 2"),
        ([((3, 3), 0.0)], "scale must be above 0"),
    ],
)
def test_impossible_stages_are_refused(stages: list[tuple[tuple[int, ...], float]], problem: str):
    with pytest.raises(ValueError, match=problem):
        ResidualScalarQuantizer(stages)
