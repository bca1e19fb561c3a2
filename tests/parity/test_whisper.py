"""Whisper's encoder against transformers: every hidden state; and real weights against CTranslate2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.near import assert_near
from tests.parity.support import recording, scatter
from tokaudio.tokenizers.backbones import load_backbone

WINDOW = 480_000


def made(*, mels: int) -> nn.Module:
    """Return a reference whose weights are random with spread, so that every one of them matters."""
    from transformers import WhisperConfig, WhisperModel

    config = WhisperConfig(
        d_model=96,
        encoder_layers=3,
        encoder_attention_heads=4,
        encoder_ffn_dim=200,
        decoder_layers=1,
        decoder_attention_heads=4,
        decoder_ffn_dim=96,
        num_mel_bins=mels,
        vocab_size=120,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    torch.manual_seed(0)
    model = WhisperModel(config).eval().requires_grad_(False)
    scatter(model, 1)
    for parameter in model.encoder.parameters():
        if parameter.dim() > 1 and parameter.shape != (1500, 96):
            parameter.mul_(3.0)
    return model


def saved(model: nn.Module, folder: Path) -> Path:
    """Write a folder as on the Hub."""
    from transformers import WhisperFeatureExtractor

    model.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=model.config.num_mel_bins).save_pretrained(folder)
    return folder


def reference_states(model: nn.Module, folder: Path, sound: Tensor) -> list[Tensor]:
    from transformers import WhisperFeatureExtractor

    extract = WhisperFeatureExtractor.from_pretrained(folder)
    values = extract(sound.numpy(), sampling_rate=16_000, return_tensors="pt").input_features
    wanted = model.encoder(values, output_hidden_states=True)
    # Version 5 gives the last one before the final norm, or after it: the latter is asked for by name.
    return [*(state[0] for state in wanted.hidden_states[:-1]), wanted.last_hidden_state[0]]


@pytest.mark.parametrize("mels", [80, 128])
def test_hidden_states(mels: int, tmp_path: Path) -> None:
    model = made(mels=mels)
    ours = load_backbone(saved(model, tmp_path))
    for samples in (400, 50_123, WINDOW) if mels == 80 else (50_123,):
        sound = recording(16_000, seconds=30.0)[0, :samples]
        wanted = reference_states(model, tmp_path, sound)
        with torch.no_grad():
            found = ours.hidden_states(sound)
        assert found.shape == (4, -(-samples // 320), 96)
        for layer, (mine, full) in enumerate(zip(found, wanted, strict=True)):
            reference = full[: len(mine)]
            peak = float(reference.abs().max())
            print("whisper", mels, samples, layer, float((mine - reference).abs().max()) / peak)
            assert reference.std() > 0.1 and (samples == 400 or reference.std(0).min() > 1e-3)
            assert_near(mine / peak, reference / peak)


def test_real_weights_of_a_package() -> None:
    """Whisper tiny.en, float16 in a file of CTranslate2, beside CTranslate2 itself with transformers' log-mel."""
    import ctranslate2
    from transformers import WhisperFeatureExtractor

    from tokaudio.tokenizers.backbone_sources import find_backbone

    folder = find_backbone("whisper-tiny.en")
    peer = ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="float32", intra_threads=1)
    ours, extract = load_backbone("whisper-tiny.en"), WhisperFeatureExtractor()
    for samples in (50_123, WINDOW):
        sound = recording(16_000, seconds=30.0)[0, :samples]
        mel = extract(sound.numpy(), sampling_rate=16_000, return_tensors="np").input_features
        wanted = torch.from_numpy(np.array(peer.encode(ctranslate2.StorageView.from_array(mel))))
        with torch.no_grad():
            found = ours.hidden_states(sound, (4,))[0]
        reference = wanted[0, : len(found)]
        peak = float(reference.abs().max())
        print("whisper-tiny.en", samples, float((found - reference).abs().max()) / peak)
        assert reference.std() > 0.5
        assert_near(found / peak, reference / peak)
