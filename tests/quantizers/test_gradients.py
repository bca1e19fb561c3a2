"""Gradients through a search against finite differences of what they are defined to be the gradient of."""

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio.quantizers import ResidualVectorQuantizer, VectorQuantizer, make_quantizer
from tokaudio.quantizers.gradients import GRADIENTS, pass_gradient, pull_together


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(vector: Tensor, word: Tensor) -> Tensor:
    """The matrix of the rotation trick, made column by column: the plane of both turned, all else left alone."""
    a, b = vector / vector.norm(), word / word.norm()
    rest = b - (a @ b) * a
    c = rest / rest.norm()
    cosine, sine = a @ b, rest.norm()
    columns = []
    for axis in torch.eye(len(vector), dtype=vector.dtype):
        along, across = a @ axis, c @ axis
        outside = axis - along * a - across * c
        columns.append(outside + (cosine * along - sine * across) * a + (sine * along + cosine * across) * c)
    return torch.stack(columns, dim=1) * word.norm() / vector.norm()


def differences(function: object, at: Tensor, step: float = 1e-5) -> Tensor:
    """The gradient of a scalar function by central differences, one number at a time."""
    found = torch.zeros_like(at)
    for place in range(at.numel()):
        nudge = torch.zeros_like(at).flatten()
        nudge[place] = step
        nudge = nudge.view_as(at)
        found.view(-1)[place] = (function(at + nudge) - function(at - nudge)) / (2 * step)  # type: ignore[operator]
    return found


@pytest.mark.parametrize("width", [2, 3, 16])
def test_rotation_is_the_gradient_of_its_definition(width: int):
    vectors, words, target = normal(5, width), normal(5, width, seed=1), normal(5, width, seed=2)
    maps = [rotation(vector, word) for vector, word in zip(vectors, words, strict=True)]
    for number, turned in enumerate(maps):
        assert_near(turned @ vectors[number], words[number], within=1e-9)

    def loss(at: Tensor) -> float:
        moved = torch.stack([turned @ row for turned, row in zip(maps, at, strict=True)])
        return float((moved - target).square().sum())

    at = vectors.clone().requires_grad_()
    (pass_gradient(at, words, "rotation") - target).square().sum().backward()
    assert_near(at.grad, differences(loss, vectors), within=1e-4)


def test_straight_through_is_the_gradient_of_its_definition():
    vectors, words, target = normal(5, 4), normal(5, 4, seed=1), normal(5, 4, seed=2)

    def loss(at: Tensor) -> float:
        return float((at + (words - vectors) - target).square().sum())

    at = vectors.clone().requires_grad_()
    (pass_gradient(at, words) - target).square().sum().backward()
    assert_near(at.grad, differences(loss, vectors), within=1e-4)


@pytest.mark.parametrize("kind", GRADIENTS)
def test_values_are_those_of_the_words_and_words_get_no_gradient(kind: str):
    vectors, words = normal(3, 4).float().requires_grad_(), normal(3, 4, seed=1).float().requires_grad_()
    passed = pass_gradient(vectors, words, kind)
    assert torch.equal(passed, words)
    passed.sum().backward()
    assert words.grad is None and bool(vectors.grad.any())


def test_rotation_keeps_the_angle_to_the_gradient_and_scales_by_the_lengths():
    vectors, words, gradient = normal(50, 6).requires_grad_(), normal(50, 6, seed=1), normal(50, 6, seed=2)
    pass_gradient(vectors, words, "rotation").backward(gradient)
    at, found = vectors.detach(), vectors.grad
    assert_near(torch.cosine_similarity(found, at), torch.cosine_similarity(gradient, words), within=1e-9)
    assert_near(found.norm(dim=1), gradient.norm(dim=1) * words.norm(dim=1) / at.norm(dim=1), within=1e-9)


def test_where_there_is_no_rotation_the_gradient_passes_straight_through():
    words = torch.tensor([[1.0, 2.0], [1.0, 2.0], [0.0, 0.0], [1.0, 2.0]])
    vectors = torch.tensor([[0.0, 0.0], [-2.0, -4.0], [1.0, 1.0], [torch.nan, 1.0]]).requires_grad_()
    gradient = normal(4, 2).float()
    pass_gradient(vectors, words, "rotation").backward(gradient)
    assert torch.equal(vectors.grad, gradient)


@pytest.mark.parametrize("kind", GRADIENTS)
def test_half_precision_vectors_get_a_gradient_of_their_own_kind(kind: str):
    vectors = normal(3, 4).bfloat16().requires_grad_()
    pass_gradient(vectors, normal(3, 4, seed=1).float(), kind).sum().backward()
    assert vectors.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_quantizer_passes_the_gradient_that_it_was_asked_for(metric: str):
    quantizer = VectorQuantizer(6, 16, metric=metric, gradient="rotation").eval()
    latents, target = normal(2, 6, 7).float().requires_grad_(), normal(2, 6, 7, seed=1).float()
    out = quantizer(latents)
    (out.quantized * target).sum().backward()
    for item in range(2):
        for frame in range(7):
            turned = rotation(
                latents[item, :, frame].detach().double(), out.quantized[item, :, frame].detach().double()
            )
            assert_near(latents.grad[item, :, frame], turned.T @ target[item, :, frame].double(), within=1e-4)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="one of 'straight-through', 'rotation', got 'sideways'"):
        VectorQuantizer(4, 8, gradient="sideways")
    with pytest.raises(ValueError, match="got 'none'"):
        pass_gradient(torch.zeros(2), torch.zeros(2), "none")


def test_commitment_reaches_the_encoder_and_the_codebook_loss_the_codebook():
    quantizer = VectorQuantizer(6, 16, learning="gradient").eval()
    latents = normal(2, 6, 7).float()
    words = quantizer.decode(quantizer.encode(latents)).detach()
    moving = latents.clone().requires_grad_()
    quantizer(moving).loss.backward()
    # The part that moves the latents is the commitment alone, as if codewords were fixed.
    assert_near(moving.grad, 0.25 * 2 * (latents - words) / latents.numel(), within=1e-6)
    # And the codebook moves as if the latents were.
    wanted = torch.zeros(16, 6).index_add_(
        0, quantizer.encode(latents).flatten(), (2 * (words - latents) / latents.numel()).transpose(1, 2).flatten(0, 1)
    )
    assert_near(quantizer.book.table.grad, wanted, within=1e-6)
    fixed = VectorQuantizer(6, 16).train()
    fixed.initialise(normal(64, 6).float())
    fixed(latents.clone().requires_grad_()).loss.backward()
    assert not fixed.book.table.requires_grad, "under moving averages nothing but the encoder is moved by a gradient"


def test_a_chain_of_levels_passes_one_identity():
    quantizer = ResidualVectorQuantizer(6, 16, num_codebooks=4).eval()
    latents, target = normal(2, 6, 7).float().requires_grad_(), normal(2, 6, 7, seed=1).float()
    (quantizer(latents).quantized * target).sum().backward()
    assert_near(latents.grad, target, within=1e-6)


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 0.0, 0.5])])
def test_pulling_together_is_the_sum_of_both_losses_and_of_their_gradients(learned: bool, weights: Tensor | None):
    vectors, words = normal(3, 5, 4).requires_grad_(), normal(3, 5, 4, seed=1).requires_grad_()
    shares = torch.ones(3) if weights is None else weights

    def mean(gap: Tensor) -> Tensor:
        return (gap.square().mean((1, 2)) * shares).mean()

    wanted = 0.3 * mean(vectors - words.detach())
    if learned:
        wanted = wanted + mean(words - vectors.detach())
    found = pull_together(vectors, words, commitment=0.3, learned=learned, weights=weights)
    assert_near(found, wanted, within=1e-9)
    for tensor in (vectors, words)[: 1 + learned]:
        both = [torch.autograd.grad(2 * loss, tensor, retain_graph=True)[0] for loss in (found, wanted)]
        assert_near(*both, within=1e-9)
    with torch.no_grad():
        assert_near(pull_together(vectors, words, commitment=0.3, learned=learned, weights=weights), wanted)
    if not learned:
        found.backward()
        assert words.grad is None


@pytest.mark.parametrize("family", ["rvq", "residual", "multiscale"])
@pytest.mark.parametrize("learning", ["ema", "gradient"])
def test_a_chain_makes_one_rotation_from_the_latents_to_the_sum(family: str, learning: str):
    table = {"codebook_size": 16, "learning": learning, "gradient": "rotation"}
    options = {
        "rvq": {**table, "num_codebooks": 3},
        "residual": {"inner_options": table, "num_codebooks": 3, "shrink": 0.5},
        "multiscale": {"inner_options": table, "strides": (2, 1, 1)},
    }
    quantizer = make_quantizer(family, {"dim": 5, **options[family]}).eval()
    latents, target = normal(2, 5, 4).float(), normal(2, 5, 4, seed=1)
    depth = torch.tensor([2, 3])
    moving = latents.clone().requires_grad_()
    out = quantizer(moving, num_codebooks=depth)
    assert torch.equal(out.quantized[1:], quantizer.decode(quantizer.encode(latents))[1:])
    (out.quantized.double() - target).square().sum().backward()
    rows, words = latents.double().transpose(1, 2).flatten(0, 1), out.quantized.detach().double().transpose(1, 2)
    maps = [rotation(row, word) for row, word in zip(rows, words.flatten(0, 1), strict=True)]
    goals = target.transpose(1, 2).flatten(0, 1)

    def loss(at: Tensor) -> float:
        moved = torch.stack([turned @ row for turned, row in zip(maps, at, strict=True)])
        return float((moved - goals).square().sum())

    assert_near(moving.grad.transpose(1, 2).flatten(0, 1), differences(loss, rows), within=1e-4)


def test_rotating_chains_commit_and_learn_as_others():
    table = {"codebook_size": 16, "learning": "gradient", "seed": 3}
    gradients = []
    for gradient in GRADIENTS:
        quantizer = ResidualVectorQuantizer(5, num_codebooks=3, gradient=gradient, **table).eval()
        latents = normal(2, 5, 6).float().requires_grad_()
        quantizer(latents).loss.backward()
        gradients.append([latents.grad, *(level.book.table.grad for level in quantizer.levels)])
    for one, other in zip(*gradients, strict=True):
        assert bool(one.any())
        assert_near(one, other, within=1e-6)


def test_between_projections_levels_make_rotations_of_their_own():
    torch.manual_seed(0)
    quantizer = ResidualVectorQuantizer(6, 16, num_codebooks=2, codebook_dim=3, gradient="rotation").eval()
    latents = normal(1, 6, 4).float().requires_grad_()
    quantizer(latents).quantized.square().sum().backward()
    assert bool(latents.grad.any()) and bool(quantizer.levels[1].down.weight.grad.any())
