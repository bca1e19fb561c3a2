"""HuBERT, wav2vec 2.0 and WavLM against transformers: every hidden state, both dialects of the positional weight."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.near import assert_near
from tests.parity.support import recording, scatter
from tokaudio.tokenizers.backbones import load_speech_model, speech_model, speech_sizes

REDUCED = {
    "hidden_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 160,
    "conv_dim": [48] * 7,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
NAMES = ["hubert", "wav2vec2", "wavlm"]


def made(name: str, *, large: bool) -> nn.Module:
    """Return a reference whose weights are random with spread, so that every one of them matters."""
    import transformers

    kinds = {"hubert": "Hubert", "wav2vec2": "Wav2Vec2", "wavlm": "WavLM"}
    config = getattr(transformers, f"{kinds[name]}Config")(**REDUCED, **(LARGE if large else {}))
    torch.manual_seed(0)
    model = getattr(transformers, f"{kinds[name]}Model")(config).eval().requires_grad_(False)
    scatter(model, 1)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.mul_(1.5)
    if name == "wavlm":
        model.encoder.layers[0].attention.rel_attn_embed.weight.normal_()
        for layer in model.encoder.layers:
            layer.attention.gru_rel_pos_linear.weight.normal_(std=0.3)
            layer.attention.gru_rel_pos_const.copy_(1 + torch.rand_like(layer.attention.gru_rel_pos_const))
    return model


def saved(model: nn.Module, folder: Path, dialect: str) -> Path:
    """Write a folder as on the Hub, with the weights as they are saved today, or as older files have them."""
    from transformers import Wav2Vec2FeatureExtractor

    model.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    if dialect == "old":
        (folder / "model.safetensors").unlink()
        prefix = f"{model.config.model_type}."
        renamed = {"original0": "weight_g", "original1": "weight_v"}
        tensors: dict[str, Tensor] = {}
        for key, value in model.state_dict().items():
            stem, _, end = key.partition("parametrizations.weight.")
            tensors[prefix + stem + renamed.get(end, "")] = value
        torch.save(tensors, folder / "pytorch_model.bin")
    return folder


@pytest.mark.parametrize("dialect", ["new", "old"])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_hidden_states(name: str, large: bool, dialect: str, tmp_path: Path) -> None:
    from transformers import Wav2Vec2FeatureExtractor

    model = made(name, large=large)
    ours = load_speech_model(saved(model, tmp_path, dialect))
    extract = Wav2Vec2FeatureExtractor(do_normalize=True)
    for samples in (400, 50_123):
        sound = recording(16_000, seconds=4.0)[0, :samples]
        values = extract(sound.numpy(), sampling_rate=16_000, return_tensors="pt").input_values
        wanted = model(values, output_hidden_states=True)
        states = list(wanted.hidden_states)
        if large:
            # Version 5 gives the last one before the final norm, versions before it (and we) after it.
            states[-1] = wanted.last_hidden_state
        with torch.no_grad():
            found = ours.hidden_states(sound[None])
            mean = ours.mean_hidden_state(sound)
        assert len(found) == len(states)
        for layer, (mine, reference) in enumerate(zip(found, states, strict=True)):
            peak = float(reference.abs().max())
            print(name, large, dialect, samples, layer, float((mine - reference).abs().max()) / peak)
            assert reference.std() > 0.1 and (samples == 400 or reference[0].std(0).min() > 1e-3)
            assert_near(mine / peak, reference / peak)
        assert_near(mean, torch.stack(states).mean(0)[0])


# Only where no norm over time sees what is filled in: with one, the reference's results depend on the batch.
@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
@pytest.mark.parametrize("name", NAMES)
def test_masked_batches_of_the_reference_are_our_single_signals(name: str, tmp_path: Path) -> None:
    model = made(name, large=True)
    ours = load_speech_model(saved(model, tmp_path, "new"), normalise=False)
    sound = recording(16_000, seconds=3.0)[0]
    lengths = (48_000, 30_000)
    batch, mask = torch.zeros(2, 48_000), torch.zeros(2, 48_000, dtype=torch.long)
    for item, length in enumerate(lengths):
        batch[item, :length], mask[item, :length] = sound[:length], 1
    wanted = model(batch, attention_mask=mask, output_hidden_states=True).hidden_states[2]
    for item, length in enumerate(lengths):
        with torch.no_grad():
            found = ours.hidden_states(sound[:length], (2,))[0]
        peak = float(wanted[item].abs().max())
        assert_near(found / peak, wanted[item, : len(found)] / peak, within=2e-5)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("name", ["wav2vec2", "wavlm"])
def test_torchaudio_is_read_and_agrees(name: str, large: bool) -> None:
    import torchaudio.models as peers

    shape = {
        "extractor_mode": "layer_norm" if large else "group_norm",
        "extractor_conv_layer_config": [
            (48, k, s) for k, s in [(10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2)]
        ],
        "extractor_conv_bias": large,
        "encoder_embed_dim": 96,
        "encoder_projection_dropout": 0.0,
        "encoder_pos_conv_kernel": 128,
        "encoder_pos_conv_groups": 16,
        "encoder_num_layers": 3,
        "encoder_num_heads": 4,
        "encoder_attention_dropout": 0.0,
        "encoder_ff_interm_features": 160,
        "encoder_ff_interm_dropout": 0.0,
        "encoder_dropout": 0.0,
        "encoder_layer_norm_first": large,
        "encoder_layer_drop": 0.0,
        "aux_num_out": 5,
    }
    torch.manual_seed(0)
    if name == "wavlm":
        peer = peers.wavlm_model(**shape, encoder_num_buckets=320, encoder_max_distance=800)
    else:
        peer = peers.wav2vec2_model(**shape)
    peer = peer.eval().requires_grad_(False)
    scatter(peer, 1)
    config = {"model_type": name, **REDUCED, "num_hidden_layers": 3, **(LARGE if large else {})}
    ours = speech_model(peer.state_dict(), speech_sizes(config))
    sound = recording(16_000, seconds=2.0)
    wanted, _ = peer.extract_features(sound)
    with torch.no_grad():
        # They give no layer 0, and no final norm.
        found = ours.hidden_states(sound, (1, 2))
    for mine, reference in zip(found, wanted, strict=False):
        peak = float(reference.abs().max())
        assert_near(mine / peak, reference / peak)
