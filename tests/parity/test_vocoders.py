"""Vocoders of units against SpeechBrain's own generator, from files as SpeechBrain writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.near import assert_near
from tests.parity.support import calibrate, scatter
from tokaudio.tokenizers.unit_vocoder import UnitVocoder
from tokaudio.tokenizers.vocoder_files import load_vocoder

LAYERS, SIZE, SPEAKER = (1, 3, 7), 100, 24
GENERATOR = """
sample_rate: 16000
num_clusters: 100
layer: [1, 3, 7]
upsample_factors: [5, 4, 4, 2, 2]
resblock_dilation_sizes: {dilations}
generator: !new:speechbrain.lobes.models.HifiGAN.UnitHifiganGenerator
  in_channels: {channels}
  out_channels: 1
  resblock_type: "{kind}"
  resblock_dilation_sizes: !ref <resblock_dilation_sizes>
  resblock_kernel_sizes: {kernels}
  upsample_kernel_sizes: [11, 8, 8, 4, 4]
  upsample_initial_channel: 64
  upsample_factors: !ref <upsample_factors>
  vocab_size: !ref <num_clusters> * 3 + 1
  embedding_dim: 48
  attn_dim: 32
  multi_speaker: {speaker}
  normalize_speaker_embeddings: {normalised}
"""
VARIANTS = {
    "layer dropout": {"kind": "1", "speaker": False, "normalised": False},
    "speakers": {"kind": "1", "speaker": True, "normalised": False},
    "speakers of length one, small blocks": {"kind": "2", "speaker": True, "normalised": True},
}


def made(folder: Path, variant: dict[str, Any]) -> nn.Module:
    """Write the files of a generator with random weights, made by SpeechBrain from the same file, and return it."""
    from hyperpyyaml import load_hyperpyyaml

    small = variant["kind"] == "2"
    text = GENERATOR.format(
        **variant,
        channels=48 + SPEAKER * variant["speaker"],
        dilations=[[1, 2], [2, 6], [3, 12]] if small else [[1, 3, 5]] * 3,
        kernels=[3, 5, 7] if small else [3, 7, 11],
    )
    (folder / "hyperparams.yaml").write_text(text)
    torch.manual_seed(0)
    model: nn.Module = load_hyperpyyaml(text)["generator"].eval().requires_grad_(False)
    scatter(model, 1)
    # Branches add to what is there, as trained ones do; at full size, the reference alone is off by 1e-5 in float32.
    added = {layer: 0.4 for layer in model.resblocks.modules() if isinstance(layer, nn.Conv1d)}
    sizes = {**added, model.conv_post.conv: 0.3}
    calibrate(model, lambda: model.inference(units(codes())[None], spk=torch.ones(1, SPEAKER)), scales=sizes)
    torch.save(model.state_dict(), folder / "generator.ckpt")
    return model


def codes() -> Tensor:
    return torch.randint(0, SIZE, (3, 250), generator=torch.Generator().manual_seed(1))


def units(codes: Tensor) -> Tensor:
    return codes.T + torch.arange(len(LAYERS)) * SIZE + 1


@pytest.mark.filterwarnings("ignore")  # what SpeechBrain's own modules warn about
@pytest.mark.parametrize("name", VARIANTS)
def test_sound_is_speechbrains(name: str, tmp_path: Path):
    variant = VARIANTS[name]
    model = made(tmp_path, variant)
    vocoder = load_vocoder(tmp_path)
    assert vocoder.facts.layers == LAYERS and vocoder.facts.codebook_size == SIZE
    speaker = 2 * torch.randn(SPEAKER, generator=torch.Generator().manual_seed(2)) if variant["speaker"] else None
    extras = {} if speaker is None else {"item_speaker": speaker}
    given = None if speaker is None else speaker[None]
    wanted = model.inference(units(codes())[None], spk=given)[0]
    assert wanted.shape == (1, 80_000) and float(wanted.std()) > 0.1
    assert_near(vocoder.synthesise(codes(), extras=extras), wanted)
    # Of its layers, some may be missing.
    chosen = units(codes())
    chosen[:, 1] = 0
    wanted = model.inference(chosen[None], spk=given)[0]
    assert_near(partial(vocoder, codes()[[0, 2]], extras), wanted)


def partial(vocoder: UnitVocoder, codes: Tensor, extras: dict[str, Tensor]) -> Tensor:
    stage = vocoder.stage((1, 7), 2, extras)
    with torch.no_grad():
        return stage(codes.T.contiguous(), True).T
