"""The recipe of mini-hybrid: what is widened says what it said, and only its teacher teaches it the content."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.near import assert_near
from tokaudio.nn.spectral_codec import SpectralCodecShape, SpectralEncoder
from tokaudio.quantizers.residual import ResidualVectorQuantizer
from tokaudio.tokenizers import Tokenizer
from tokaudio.training.augment import Augmentation
from tokaudio.training.checkpoint import CHECKPOINT, write_checkpoint
from tokaudio.training.pool import AudioPool, write_pool
from tokaudio.training.recipes import mini_hybrid, mini_hybrid_stages
from tokaudio.training.recipes.mini_codec_tuning import Listener
from tokaudio.training.recipes.mini_hybrid_stages import Distilling, DistillingOptions, HybridOptions, HybridTraining
from tokaudio.training.reconstruction import SpectralCodecNets

SMALL = SpectralCodecShape(
    hop_length=80, n_fft=160, latent_dim=4, encoder_dim=8, encoder_blocks=1, decoder_dim=8, decoder_blocks=1
)
WIDE = dataclasses.replace(SMALL, latent_dim=8, encoder_blocks=2)
HEARD = SpectralEncoder(dataclasses.replace(SMALL, latent_dim=60))
OPTIONS = HybridOptions(batch=2, crop_frames=20, heard=1, depths=(0.5, 0.5), half=False)


@pytest.fixture(autouse=True)
def few_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mini_hybrid, "QUANTIZER", {"codebook_size": 16, "num_codebooks": 2, "codebook_dim": 4})


def known() -> SpectralCodecNets:
    torch.manual_seed(0)
    return SpectralCodecNets(SMALL, ResidualVectorQuantizer(4, 16, num_codebooks=2)).eval()


def wide() -> SpectralCodecNets:
    return mini_hybrid.widened(WIDE, known().state_dict()).eval()


def pool(folder: Path) -> AudioPool:
    noise = 0.1 * np.random.default_rng(0).standard_normal(4_000).astype(np.float32)
    write_pool(folder, [("a", "demo", noise)], 16_000)
    return AudioPool(folder)


def distilling(folder: Path) -> Distilling:
    options = DistillingOptions(batch=2, crop_frames=20, half=False)
    return Distilling(
        wide(),
        Listener(known().encoder),
        Listener(HEARD),
        pool(folder),
        options=options,
        augmentation=Augmentation(),
        hop_length=80,
    )


def hybrid(folder: Path) -> HybridTraining:
    nets = wide()
    mini_hybrid.settle(nets.quantizer, torch.randn(200, 8, generator=torch.Generator().manual_seed(1)))
    return HybridTraining(
        nets, Listener(HEARD), pool(folder), options=OPTIONS, augmentation=Augmentation(), hop_length=80
    )


def test_wider_networks_say_what_the_old_ones_said() -> None:
    old, new, signal = known(), wide(), torch.randn(1, 80 * 30)
    assert_near(new.encode(signal)[:, :4], old.encode(signal), within=1e-5)
    latents = torch.randn(1, 8, 30)
    assert_near(new.decode(latents), old.decode(latents[:, :4]), within=1e-5)


def test_the_first_codebook_quantizes_the_content_and_the_others_what_it_leaves_of_the_sound() -> None:
    quantizer, rows = wide().quantizer, torch.randn(200, 8, generator=torch.Generator().manual_seed(1))
    mini_hybrid.settle(quantizer, rows)
    latents = rows[:50].T[None]
    codes, other = quantizer.encode(latents), latents.clone()
    other[:, :4] = torch.randn(1, 4, 50)
    assert torch.equal(quantizer.encode(other)[:, 0], codes[:, 0])
    other = latents.clone()
    other[:, 4:] += 5.0
    assert not torch.equal(quantizer.encode(other)[:, 0], codes[:, 0])
    first = quantizer.decode(codes[:, :1])
    nearest = torch.cdist(latents[0, :4].T - first[0, :4].T, quantizer.levels[1].book.words()).argmin(1)
    assert torch.equal(nearest, codes[0, 1])


def test_the_first_codewords_say_what_goes_with_the_content() -> None:
    quantizer, generator = wide().quantizer, torch.Generator().manual_seed(1)
    centres = torch.randn(16, 4, generator=generator)
    heard = centres[torch.arange(3_200) % 16] + 0.01 * torch.randn(3_200, 4, generator=generator)
    sound = heard @ torch.randn(4, 4, generator=generator) + 2.0
    mini_hybrid.settle(quantizer, torch.cat([sound, heard], dim=1))
    vectors = quantizer.decode(quantizer.encode(torch.cat([sound, heard], dim=1).T[None])[:, :1])[0].T.detach()
    # K-means may give two of the centres one codeword.
    assert float((vectors[:, :4] - sound).square().mean() / sound.var()) < 0.2
    assert float((vectors[:, 4:] - heard).square().mean() / heard.var()) < 0.2


def test_only_the_way_back_from_the_first_codebook_learns() -> None:
    learn = {name for name, value in wide().quantizer.named_parameters() if value.requires_grad}
    assert learn == {"levels.0.up.weight", "levels.0.up.bias"}


def test_the_content_is_what_is_told_phones_filled_up() -> None:
    heard = torch.randn(2, 320, 5)
    found = mini_hybrid_stages.content(heard, 64)
    assert torch.equal(found[:, :50], heard[:, :50]) and not found[:, 50:].any()
    assert torch.equal(mini_hybrid_stages.content(heard, 4), heard[:, :4])


def test_a_distance_is_a_share_of_the_variance() -> None:
    target = 3.0 * torch.randn(4, 8, 500, generator=torch.Generator().manual_seed(0))
    assert_near(mini_hybrid_stages.relative(torch.zeros_like(target), target), torch.tensor(1.0), within=0.05)
    assert float(mini_hybrid_stages.relative(target, target)) == 0.0


def test_distilling_teaches_the_content_and_keeps_the_sound(tmp_path: Path) -> None:
    stage = distilling(tmp_path)
    figures = [stage.step(torch.Generator().manual_seed(step), step, 4e-3) for step in range(14)]
    early, late = (sum(row["taught"] for row in part) for part in (figures[:4], figures[-4:]))
    assert late < 0.95 * early
    assert sum(row["kept"] for row in figures[-4:]) < 4 * 0.4


def test_the_sound_that_is_made_teaches_the_content_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = hybrid(tmp_path)
    stage.options = dataclasses.replace(OPTIONS, taught=0.0)
    stage.depths = torch.tensor([0.0, 1.0])
    gradients: dict[str, torch.Tensor] = {}

    def keep(loss: torch.Tensor, *, rate: float, step: int) -> None:
        loss.backward()  # type: ignore[no-untyped-call]
        gradients["out"] = stage.nets.encoder.out.weight.grad.clone()
        gradients["up"] = stage.nets.quantizer.levels[0].up.weight.grad.clone()

    monkeypatch.setattr(stage.descent, "step", keep)
    stage.step(torch.Generator().manual_seed(0), 0, 1e-3)
    assert gradients["out"][:4].any() and not gradients["out"][4:].any()
    assert gradients["up"].any()
    stage.options = OPTIONS
    stage.step(torch.Generator().manual_seed(0), 0, 1e-3)
    assert gradients["out"][4:].any()


@pytest.mark.parametrize("make", [distilling, hybrid], ids=["distilling", "hybrid"])
def test_a_resumed_stage_goes_on_as_if_it_never_stopped(tmp_path: Path, make: type) -> None:
    first, second = make(tmp_path), make(tmp_path)
    first.step(torch.Generator().manual_seed(0), 0, 1e-3)
    second.load_state(copy.deepcopy(first.state()))
    figures = [stage.step(torch.Generator().manual_seed(1), 1, 1e-3) for stage in (first, second)]
    assert figures[0] == figures[1]
    for name, value in first.nets.state_dict().items():
        assert torch.equal(value, second.nets.state_dict()[name]), name


def test_the_second_stage_starts_from_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, nets = distilling(tmp_path), wide()
    stage.step(torch.Generator().manual_seed(0), 0, 1e-2)
    write_checkpoint(tmp_path / CHECKPOINT, {"done": 1, "trainable": stage.state()})
    monkeypatch.setattr(mini_hybrid, "SHAPE", WIDE)
    mini_hybrid.start_training(nets, tmp_path / CHECKPOINT, stage.pool, crops=6, frames=40)
    assert_near(nets.encoder.out.weight, stage.descent.averaged["out.weight"], within=1e-9)
    assert all(bool(level.book.ready) for level in nets.quantizer.levels)


def test_the_shipped_shape_keeps_the_limits_and_opens_as_a_tokenizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"codebook_size": 1024, "num_codebooks": 8, "codebook_dim": mini_hybrid.WIDTH}
    monkeypatch.setattr(mini_hybrid, "QUANTIZER", options)
    nets = mini_hybrid.widened(mini_hybrid.SHAPE, {})
    assert sum(value.numel() for value in nets.state_dict().values()) < 6_000_000
    for level in nets.quantizer.levels:
        level.book.initialise(torch.randn(1024, mini_hybrid.WIDTH))
    mini_hybrid.export(nets.state_dict(), tmp_path / "out")
    codec = Tokenizer.from_pretrained(tmp_path / "out")
    assert codec.spec.kind == "hybrid" and [book.role for book in codec.spec.codebooks][:2] == ["semantic", "acoustic"]
    assert codec.encode(torch.randn(1, 1, 16_000), 16_000).codes.shape == (1, 8, 50)
    assert (tmp_path / "out" / "model.safetensors").stat().st_size < 12_000_000
