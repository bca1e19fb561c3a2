"""Quantizers beside vector-quantize-pytorch, where both define the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.near import assert_near
from tokaudio.quantizers import make_quantizer


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def share(ours: nn.Module, theirs: nn.Module) -> None:
    """Give both the same projections."""
    for own, other in (("down", "project_in"), ("up", "project_out")):
        given = getattr(theirs, other)
        if isinstance(given, nn.Linear):
            getattr(ours, own).load_state_dict(given.state_dict())


@pytest.mark.parametrize(("dim", "levels"), [(3, (8, 5, 5)), (4, (7, 5, 3, 4)), (16, (8, 6, 5))])
def test_finite_scalar(dim: int, levels: tuple[int, ...]) -> None:
    from vector_quantize_pytorch import FSQ

    ours, theirs = make_quantizer("fsq", {"dim": dim, "levels": levels}), FSQ(list(levels), dim=dim)
    share(ours, theirs)
    latents = 2 * normal(2, dim, 300)
    wanted, codes = theirs(latents.transpose(1, 2))
    assert torch.equal(ours.encode(latents)[:, 0], codes.long())
    assert_near(ours(latents).quantized, wanted.transpose(1, 2))


@pytest.mark.parametrize(("dim", "levels", "count"), [(2, (5, 5), 3), (3, (8, 5, 4), 3), (8, (3, 3), 5)])
def test_residual_finite_scalar(dim: int, levels: tuple[int, ...], count: int) -> None:
    from vector_quantize_pytorch import ResidualFSQ

    theirs = ResidualFSQ(levels=list(levels), num_quantizers=count, dim=dim).eval()
    ours = make_quantizer("residual-fsq", {"dim": dim, "levels": levels, "num_codebooks": count})
    share(ours, theirs)
    latents = 1.5 * normal(2, dim, 300)
    wanted, codes = theirs(latents.transpose(1, 2))
    same = (ours.encode(latents).transpose(1, 2) == codes).all(-1)
    # They subtract in float32 what we count in whole numbers: on the edge of a cell the two may part.
    assert float(same.float().mean()) >= 0.99
    ours_at = ours(latents).quantized.transpose(1, 2)
    assert_near(ours_at[same], wanted[same])


@pytest.mark.parametrize("spherical", [False, True])
@pytest.mark.parametrize("dim", [6, 16])
def test_binary(spherical: bool, dim: int) -> None:
    from vector_quantize_pytorch import LFQ

    theirs = LFQ(
        dim=dim,
        codebook_size=64,
        entropy_loss_weight=0.1,
        commitment_loss_weight=0.25,
        diversity_gamma=0.8,
        spherical=spherical,
    ).train()
    options = {"dim": dim, "bits": 6, "entropy_weight": 0.1, "commitment": 0.25, "diversity": 0.8, "entropy_group": 6}
    ours = make_quantizer("bsq" if spherical else "lfq", options | {"inverse_temperature": 0.5})
    share(ours, theirs)
    latents = 0.5 * normal(2, dim, 200)
    wanted, codes, loss = theirs(latents.transpose(1, 2), inv_temperature=0.5)
    out = ours(latents)
    assert torch.equal(out.codes[:, 0], codes.long())
    assert_near(out.quantized, wanted.transpose(1, 2))
    # They cut logarithms off below 1e-5.
    assert_near(out.loss, loss, within=1e-4)


def test_simvq() -> None:
    from vector_quantize_pytorch.sim_vq import SimVQ

    theirs = SimVQ(8, 64, channel_first=True, rotation_trick=False).eval()
    ours = make_quantizer("simvq", {"dim": 8, "codebook_size": 64}).eval()
    with torch.no_grad():
        ours.book.frozen.copy_(theirs.frozen_codebook)
        ours.book.map.weight.copy_(theirs.code_transform.weight)
        ours.book.map.bias.zero_()
    latents = normal(2, 8, 200)
    wanted, codes, _ = theirs(latents)
    assert torch.equal(ours.encode(latents)[:, 0], codes.long())
    assert_near(ours(latents).quantized, wanted)


def test_random_projection() -> None:
    from vector_quantize_pytorch import RandomProjectionQuantizer

    theirs = RandomProjectionQuantizer(dim=24, codebook_size=64, codebook_dim=8, norm=False).eval()
    ours = make_quantizer("random-projection", {"dim": 24, "codebook_size": 64, "codebook_dim": 8})
    with torch.no_grad():
        ours.projections[0].copy_(theirs.rand_projs[0])
        ours.words[0].copy_(theirs.vq._codebook.embed[0])
    latents = normal(2, 24, 100)
    assert torch.equal(ours.encode(latents)[:, 0], theirs(latents.transpose(1, 2)).view(2, 100))
