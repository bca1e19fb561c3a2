"""The recipe of mini-bands: the preset scaled to a number of steps, trained on a pool, opened as a banded codec."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

from tokaudio.quantizers import make_quantizer
from tokaudio.tokenizers import Tokenizer
from tokaudio.tokenizers.banded_codec import BandedCodec
from tokaudio.training.bodies import make_body
from tokaudio.training.loop import Loop
from tokaudio.training.pool import AudioPool, write_pool
from tokaudio.training.recipe import Part, Recipe
from tokaudio.training.recipes import mini_bands

SMALL = {"latent_dim": 16, "encoder_dim": 8, "encoder_blocks": 1, "decoder_dim": 8, "decoder_blocks": 1, "bands": 2}


def small(steps: int) -> Recipe:
    preset = mini_bands.plan(steps)
    return dataclasses.replace(
        preset,
        body=Part("banded", SMALL),
        quantizer=Part("banded", {"codebook_size": 16, "bands": 2}),
        data=dataclasses.replace(preset.data, batch=1, crop_seconds=0.3),
        continuous_steps=1,
        initial_batches=3,
    )


def pool(folder: Path) -> AudioPool:
    noise = 0.1 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    write_pool(folder, [("a", "demo", noise)], 16_000)
    return AudioPool(folder)


def test_other_numbers_of_steps_scale_the_stages_and_nothing_else() -> None:
    whole, half = mini_bands.plan(), mini_bands.plan(mini_bands.plan().schedule.steps // 2)
    assert half.schedule.steps * 2 == whole.schedule.steps
    for one, other in zip(half.losses.spectral, whole.losses.spectral, strict=True):
        assert one.from_step * 2 == other.from_step and one.mel == other.mel
    assert dataclasses.replace(half, losses=whole.losses, schedule=whole.schedule) == whole
    assert mini_bands.plan(whole.schedule.steps) == whole


def test_the_shipped_size_keeps_the_limits() -> None:
    preset = mini_bands.plan()
    assert preset.body and preset.quantizer
    with torch.device("meta"):
        body = make_body(preset.body.name, preset.body.options)
        quantizer = make_quantizer(preset.quantizer.name, {"dim": body.dim, **preset.quantizer.options})
    numbers = sum(value.numel() for part in (body, quantizer) for value in part.state_dict().values())
    assert 3_000_000 < numbers < 6_000_000 and 2 * numbers < 12_000_000
    assert quantizer.codebook_sizes == (1024,) * 8


def test_a_training_ends_in_a_banded_codec(tmp_path: Path) -> None:
    recipe = small(2)
    stage = mini_bands.training(recipe, pool(tmp_path / "pool"))
    Loop(tmp_path / "bands", stage, recipe.schedule, seed=recipe.seed).run(quiet=True)
    assert stage.quantizing
    again = mini_bands.training(recipe, pool(tmp_path / "pool"))
    assert Loop(tmp_path / "bands", again, recipe.schedule).resume() == 2
    made = mini_bands.export(again, tmp_path / "out", about="## Data\n\nNoise.")
    opened = Tokenizer.from_pretrained(tmp_path / "out")
    assert isinstance(opened, BandedCodec) and opened.fingerprint == made.fingerprint
    assert opened.spec.name == "mini-bands" and "recipes.mini_bands" in opened.spec.origin
    assert opened.band_of(1)[1] == 8000.0
    tokens = opened.encode(torch.randn(1, 1, 3_200), 16_000)
    assert tokens.codes.shape == (1, 2, 10)
    assert "Noise." in (tmp_path / "out" / "README.md").read_text()
    assert sorted(path.name for path in (tmp_path / "out").parent.iterdir()) == ["bands", "out", "pool"]
