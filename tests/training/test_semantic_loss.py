"""Semantic distillation: similarities against their formulas, frame rates, and gradients that go where they should."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.near import assert_near
from tokaudio.quantizers import ResidualVectorQuantizer
from tokaudio.training.semantic_loss import SemanticLoss, align_frames, first_vectors


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def loss_of(kind: str, **options: object) -> SemanticLoss:
    torch.manual_seed(0)
    return SemanticLoss(6, 8, kind=kind, **options)


def test_similarity_over_time_equals_loops():
    loss, vectors, features = loss_of("time", even=False), draw(2, 6, 9), draw(2, 8, 9, seed=1)
    projected, terms = loss.projection(vectors), []
    for item in range(2):
        for feature in range(8):
            a, b = projected[item, feature], features[item, feature]
            terms.append(-torch.sigmoid((a @ b) / (a.norm() * b.norm())).log())
    assert_near(loss(vectors, features), torch.stack(terms).mean())


def test_similarity_of_frames_equals_loops():
    loss, vectors, features = loss_of("frame", even=False), draw(2, 6, 9), draw(2, 8, 9, seed=1)
    projected, terms = loss.projection(vectors), []
    for item in range(2):
        for frame in range(9):
            a, b = projected[item, :, frame], features[item, :, frame]
            terms.append(1 - (a @ b) / (a.norm() * b.norm()))
    assert_near(loss(vectors, features), torch.stack(terms).mean())


@pytest.mark.parametrize("kind", ["time", "frame"])
def test_it_does_not_depend_on_the_level_of_the_features(kind: str):
    loss, vectors, features = loss_of(kind, even=False), draw(2, 6, 9), draw(2, 8, 9, seed=1)
    assert_near(loss(vectors, 7 * features), loss(vectors, features))


@pytest.mark.parametrize("kind", ["time", "frame"])
def test_even_features_have_the_same_say(kind: str):
    vectors, features = draw(2, 6, 30), draw(2, 8, 30, seed=1)
    sizes, offsets = 10.0 ** draw(8, 1, seed=2), 5 * draw(8, 1, seed=3)
    assert_near(loss_of(kind)(vectors, features * sizes + offsets), loss_of(kind)(vectors, features), within=1e-2)


@pytest.mark.parametrize("kind", ["time", "frame"])
def test_frames_that_do_not_exist_do_not_count(kind: str):
    loss, vectors, features = loss_of(kind, even=False), draw(1, 6, 9), draw(1, 8, 9, seed=1)
    exists = torch.arange(9)[None] < 6
    changed = torch.where(exists[:, None], features, 100 * draw(1, 8, 9, seed=5))
    assert_near(loss(vectors, changed, exists=exists), loss(vectors[..., :6], features[..., :6]))


@pytest.mark.parametrize("kind", ["time", "frame"])
def test_a_few_steps_teach_vectors_what_the_teacher_hears(kind: str):
    features = draw(4, 8, 20, seed=1)
    vectors, loss = draw(4, 6, 20).requires_grad_(), loss_of(kind)
    optimizer = torch.optim.Adam([vectors, *loss.parameters()], lr=0.05)
    seen = []
    for _ in range(40):
        optimizer.zero_grad()
        found = loss(vectors, features)
        found.backward()
        optimizer.step()
        seen.append(float(found.detach()))
    # The best that similarity over time can have is -log sigmoid(1), about 0.31.
    assert seen[-1] - (0.31 if kind == "time" else 0) < 0.5 * (seen[0] - (0.31 if kind == "time" else 0))


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 12), frames=st.integers(1, 20), up=st.integers(1, 6), down=st.integers(1, 6))
def test_alignment_is_the_mean_over_the_time_of_each_frame(count: int, frames: int, up: int, down: int):
    features, ratio = draw(2, 3, count), Fraction(up, down)
    found = align_frames(features, frames, ratio)
    assert found.shape == (2, 3, frames)
    # In pieces of 1/down of a feature each, a frame lasts for `up` pieces.
    pieces = features.repeat_interleave(down, dim=2)
    for frame in range(frames):
        its = pieces[..., frame * up : (frame + 1) * up]
        wanted = its.mean(2) if its.shape[2] else features[..., -1]
        if its.shape[2] or up <= down:
            assert_near(found[..., frame], wanted, within=1e-4)


def test_alignment_by_a_whole_number_is_average_pooling():
    features = draw(2, 3, 40)
    assert_near(align_frames(features, 10, 4), torch.nn.functional.avg_pool1d(features, 4))
    assert torch.equal(align_frames(features, 40), features)


def test_first_vectors_are_those_of_the_first_codebook_and_let_gradients_through():
    torch.manual_seed(0)
    quantizer = ResidualVectorQuantizer(6, 16, num_codebooks=3).eval()
    latents = draw(2, 6, 9).requires_grad_()
    codes = quantizer.encode(latents)
    found = first_vectors(quantizer, latents, codes)
    wanted = quantizer.codebook(0)[codes[:, 0]].transpose(1, 2)
    assert torch.equal(found, wanted)
    weights = draw(2, 6, 9, seed=4)
    (found * weights).sum().backward()
    assert_near(latents.grad, weights)


def test_the_teacher_gets_no_gradient_and_the_student_does():
    loss, vectors, features = loss_of("time"), draw(2, 6, 9).requires_grad_(), draw(2, 8, 9).requires_grad_()
    loss(vectors, features).backward()
    assert features.grad is None and bool(vectors.grad.any()) and bool(loss.projection.weight.grad.any())


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="give 'time' or 'frame'"):
        loss_of("space")
    with pytest.raises(ValueError, match="more than 0"):
        align_frames(draw(1, 2, 3), 3, 0)
    with pytest.raises(ValueError, match="more than 0"):
        align_frames(torch.zeros(1, 2, 0), 3)
