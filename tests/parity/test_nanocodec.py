"""NanoCodec's three variants against the layers of NVIDIA's toolkit, from archives and from unpacked files."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.near import assert_near
from tests.parity.builders.nanocodec import codec_modules
from tests.parity.support import build, cases, check_parity, reference_mode, scatter
from tokaudio.tokenizers.families.nanocodec import NanoCodec


@pytest.mark.parametrize("name", ["nanocodec-0.6kbps", "nanocodec-1.78kbps", "nanocodec-1.89kbps"])
def test_nanocodec(name: str, tmp_path: Path):
    """The variants differ in rates and groups: the first is tried at everything, the others at what shows those."""
    peer = build(name)
    if name.endswith("0.6kbps"):
        tried = list(cases(peer, long_frames=110))
    else:
        tried = [case for case in cases(peer, long_frames=280) if case.name in ("one more", "long")]
    check_parity(peer, "nemo", tmp_path, load=NanoCodec.from_pretrained, tried=tried)


def test_unpacked_files_hold_the_same(tmp_path: Path):
    peer = build("nanocodec-0.6kbps")
    packed, loose = (NanoCodec.from_pretrained(peer.save(tmp_path / layout, layout)) for layout in peer.facts.layouts)
    assert packed.fingerprint == loose.fingerprint and packed.spec.codebooks == loose.spec.codebooks


@pytest.mark.parametrize("causal", ["", "Causal"])
@pytest.mark.parametrize(
    ("activation", "padding", "paired", "output"),
    [("elu", "zeros", True, "tanh"), ("snake", "reflect", False, "clamp"), ("half_snake", "replicate", True, "clamp")],
)
def test_the_other_networks_that_configurations_may_name(
    causal: str, activation: str, padding: str, paired: bool, output: str, tmp_path: Path
):
    layers, _ = codec_modules()
    shared = {"activation": activation, "pad_mode": padding}
    config: dict[str, Any] = {
        "sample_rate": 8_000,
        "samples_per_frame": 30,
        "audio_encoder": {"encoded_dim": 4, "down_sample_rates": [2, 3, 5], "base_channels": 4, **shared},
        "audio_decoder": {
            "input_dim": 4,
            "up_sample_rates": [5, 2, 3],
            "base_channels": 24,
            "n_groups_equal_to_out_channels": paired,
            "output_activation": output,
            **shared,
        },
        "vector_quantizer": {"num_groups": 2, "num_levels_per_group": [5, 4]},
    }
    theirs, kinds = nn.Module(), (f"{causal}HiFiGANEncoder", f"{causal}HiFiGANDecoder", "GroupFiniteScalarQuantizer")
    torch.manual_seed(0)
    with reference_mode():
        for section, kind in zip(("audio_encoder", "audio_decoder", "vector_quantizer"), kinds, strict=True):
            setattr(theirs, section, getattr(layers, kind)(**config[section]))
            config[section]["_target_"] = f"nemo.{kind}"
        scatter(theirs)
        save_file({name: value.contiguous() for name, value in theirs.state_dict().items()}, tmp_path / "a.safetensors")
        (tmp_path / "config.json").write_text(json.dumps(config))
        codec = NanoCodec.from_pretrained(tmp_path)
        sound, lengths = 0.3 * torch.randn(1, 1500), torch.tensor([1500])
        latents, frames = theirs.audio_encoder(audio=sound, audio_len=lengths)
        vectors = theirs.vector_quantizer(inputs=latents, input_len=frames)[0]
        decoded = theirs.audio_decoder(inputs=vectors, input_len=frames)[0]
    assert isinstance(codec, NanoCodec)
    assert_near(codec.features(sound), latents)
    tokens = codec.encode(sound)
    assert_near(codec.embed(tokens), vectors)
    assert_near(codec.decode(tokens)[0], decoded)
    assert codec.spec.causal == bool(causal) and float(decoded.std()) > 1e-3
