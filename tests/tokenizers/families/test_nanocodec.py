"""NanoCodec: archives and unpacked files, what they say wrong, and every promise of a tokenizer."""

import copy
import dataclasses
import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor

from tests.near import assert_near
from tokaudio import Tokenizer
from tokaudio.errors import CheckpointError
from tokaudio.nn.nanocodec import HiFiGAN
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.families.nanocodec import NanoCodec

HOP, RATE, LEVELS = 6, 2_000, (5, 4)
ENCODER = HiFiGAN(latent_dim=4, rates=(2, 3), base_channels=4, kernel_sizes=(3, 5), dilations=(1, 2))
DECODER = HiFiGAN(
    latent_dim=4,
    rates=(3, 2),
    base_channels=12,
    out_kernel_size=3,
    kernel_sizes=(3, 5),
    dilations=(1, 2),
    activation="half_snake",
    causal=True,
    padding="zeros",
)
CONFIG: dict[str, Any] = {
    "sample_rate": RATE,
    "samples_per_frame": HOP,
    "audio_encoder": {
        "_target_": "nemo.x.HiFiGANEncoder",
        "down_sample_rates": [2, 3],
        "encoded_dim": 4,
        "base_channels": 4,
        "activation": "lrelu",
        "pad_mode": "replicate",
        "resblock_kernel_sizes": [3, 5],
        "resblock_dilation_sizes": [1, 2],
    },
    "audio_decoder": {
        "_target_": "nemo.x.CausalHiFiGANDecoder",
        "up_sample_rates": [3, 2],
        "input_dim": 4,
        "base_channels": 12,
        "activation": "half_snake",
        "output_activation": "clamp",
        "pad_mode": "zeros",
        "n_groups_equal_to_out_channels": True,
        "resblock_kernel_sizes": [3, 5],
        "resblock_dilation_sizes": [1, 2],
    },
    "vector_quantizer": {
        "_target_": "nemo.x.GroupFiniteScalarQuantizer",
        "num_groups": 2,
        "num_levels_per_group": list(LEVELS),
    },
}


def make(groups: int = 2) -> NanoCodec:
    torch.manual_seed(0)
    spec = TokenizerSpec("tiny-nano", "compression", RATE, HOP, (CodebookSpec(20),) * groups, chunking="exact")
    encoder, decoder = (dataclasses.replace(one, latent_dim=2 * groups) for one in (ENCODER, DECODER))
    codec = NanoCodec(spec, encoder, decoder, levels=LEVELS).eval().requires_grad_(False)
    for value in codec.parameters():
        if value.dim() == 1:
            value.add_(0.3 * torch.rand_like(value) - 0.1)
    rows = codec.features(noise(40_000))[0]
    codec.encoder.exit.conv.weight.div_(rows.std(1)[:, None, None])
    codec.encoder.exit.conv.bias.copy_(-rows.mean(1) / rows.std(1) + codec.encoder.exit.conv.bias / rows.std(1))
    return codec


def noise(samples: int, seed: int = 5) -> Tensor:
    return 0.3 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


RENAMED = (
    (r"^(encoder|decoder)\.", r"audio_\1."),
    (r"\.branches\.(\d+)\.(\d+)\.body\.0\.act\.", r".res_blocks.\1.res_blocks.\2.input_activation.activation."),
    (r"\.branches\.(\d+)\.(\d+)\.body\.1\.act\.", r".res_blocks.\1.res_blocks.\2.skip_activation.activation."),
    (r"\.branches\.(\d+)\.(\d+)\.body\.0\.conv\.", r".res_blocks.\1.res_blocks.\2.input_conv.conv."),
    (r"\.branches\.(\d+)\.(\d+)\.body\.1\.conv\.", r".res_blocks.\1.res_blocks.\2.skip_conv.conv."),
    (r"\.layers\.", ".res_layers."),
    (r"\.entry\.", ".pre_conv.conv."),
    (r"\.exit\.conv\.", ".post_conv.conv."),
    (r"\.exit\.act\.", ".post_activation.activation."),
    (r"\.acts\.(\d+)\.", r".activations.\1.activation."),
    (r"\.downs\.(\d+)\.conv\.", r".down_sample_conv_layers.\1.conv."),
    (r"\.ups\.(\d+)\.", r".up_sample_conv_layers.\1.conv."),
    (r"\.activation\.alpha$", ".activation.snake_act.alpha"),
)


def published(codec: NanoCodec) -> dict[str, Tensor]:
    """Return the tensors as an archive has them, with weight norm and the quantizer's levels."""
    made: dict[str, Tensor] = {}
    for name, value in codec.state_dict().items():
        for pattern, theirs in RENAMED:
            name = re.sub(pattern, theirs, name)
        if name.endswith(".alpha"):
            made[name] = value[None, :, None]
        elif name.endswith(".weight"):
            stem = name.removesuffix("weight") + "parametrizations.weight.original"
            value = value.contiguous()
            made[f"{stem}0"] = value.flatten(1).norm(dim=1).view(-1, 1, 1)
            made[f"{stem}1"] = 3 * value
        else:
            made[name] = value
    for group in range(2):
        made[f"vector_quantizer.fsqs.{group}.num_levels"] = torch.tensor(LEVELS).view(1, 2, 1)
        made[f"vector_quantizer.fsqs.{group}.dim_base_index"] = torch.tensor([1, 5]).view(1, 2, 1)
    return made | {"discriminator.conv.weight": torch.ones(3)}


def publish(
    folder: Path, codec: NanoCodec, change: dict[str, Any] | None = None, config: dict[str, Any] | None = None
) -> Path:
    """Write an archive and return it; `change` replaces tensors, `config` fields by dotted name; None takes away."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value for name, value in (published(codec) | (change or {})).items() if value is not None}
    content = io.BytesIO()
    torch.save(tensors, content)
    members = {"model_config.yaml": yaml.safe_dump(changed(config)).encode(), "model_weights.ckpt": content.getvalue()}
    with tarfile.open(folder / "nano.nemo", "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return folder / "nano.nemo"


def changed(config: dict[str, Any] | None) -> dict[str, Any]:
    fields = copy.deepcopy(CONFIG)
    for name, value in (config or {}).items():
        section, _, leaf = name.rpartition(".")
        place = fields[section] if section else fields
        if value is None:
            del place[leaf]
        else:
            place[leaf] = value
    return fields


def test_every_promise_holds():
    check_tokenizer(make(), residual=False)


def test_its_codes_are_diverse_enough_for_these_tests():
    codes = make().encode(noise(12_000)).codes
    assert min(len(codes[0, group].unique()) for group in range(2)) > 15


def test_archives_load_and_save_as_ours(tmp_path: Path):
    codec, sound = make(), noise(4_003)
    loaded = Tokenizer.from_pretrained(publish(tmp_path / "in", codec))
    assert type(loaded) is NanoCodec and loaded.encoder_sizes == ENCODER and loaded.decoder_sizes == DECODER
    wanted = codec.encode(sound)
    assert float((loaded.encode(sound).codes == wanted.codes).float().mean()) > 0.999
    same = dataclasses.replace(wanted, fingerprint=loaded.fingerprint, spec=loaded.spec)
    assert_near(loaded.decode(same), codec.decode(wanted))
    again = Tokenizer.from_pretrained(loaded.save_pretrained(tmp_path / "out"))
    assert type(again) is NanoCodec and again.fingerprint == loaded.fingerprint and again.spec == loaded.spec


def test_unpacked_archives_and_folded_copies_load(tmp_path: Path):
    archive = publish(tmp_path, make())
    wanted = Tokenizer.from_pretrained(archive)
    loose = tmp_path / "loose"
    loose.mkdir()
    with tarfile.open(archive) as content:
        for name in ("model_config.yaml", "model_weights.ckpt"):
            stream = content.extractfile(f"./{name}")
            assert stream is not None
            (loose / name).write_bytes(stream.read())
    assert Tokenizer.from_pretrained(loose).fingerprint == wanted.fingerprint
    folded = tmp_path / "folded"
    folded.mkdir()
    (folded / "config.json").write_text(json.dumps(CONFIG))
    state = {name: value.contiguous() for name, value in published(make()).items() if "quantizer" not in name}
    save_file(state, folded / "model.safetensors")
    assert Tokenizer.from_pretrained(folded).fingerprint == wanted.fingerprint


def test_features_and_audio_are_those_of_the_networks_in_one_go():
    codec, sound = make(), noise(9_001)
    padded = torch.nn.functional.pad(sound, (0, -9_001 % HOP))[None, None]
    assert_near(codec.features(sound), codec.encoder(padded))
    tokens = codec.encode(sound)
    assert_near(codec.decode(tokens), codec.decoder(codec.quantizer.decode(tokens.codes))[..., :9_001])


def test_facts_come_from_the_file_and_from_the_catalogue(tmp_path: Path):
    spec = Tokenizer.from_pretrained(publish(tmp_path / "mine", make())).spec
    assert (spec.name, spec.licence, spec.sample_rate, spec.hop_length) == ("nano.nemo", "", RATE, HOP)
    assert (spec.chunking, spec.causal, spec.paper, spec.codebook_sizes) == (
        "exact",
        False,
        "arXiv:2508.05835",
        (20, 20),
    )
    cached = tmp_path / "models--nvidia--nemo-nano-codec-22khz-0.6kbps-12.5fps" / "snapshots" / "abc"
    spec = Tokenizer.from_pretrained(publish(cached, make()).parent).spec
    assert (spec.name, spec.licence) == ("nanocodec-0.6kbps", "nvidia-open-model-license")


PRE, ALPHA = "audio_encoder.pre_conv.conv.bias", "audio_decoder.post_activation.activation.snake_act.alpha"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({PRE: None}, f"lacks tensor '{PRE}'"),
        ({"audio_decoder.extra": torch.ones(1)}, "unknown tensor 'audio_decoder.extra'"),
        ({PRE: torch.ones(3)}, rf"'{PRE}' has shape \[3\]"),
        ({PRE: torch.full((4,), torch.nan)}, f"'{PRE}' holds a NaN"),
        ({ALPHA: torch.ones(2, 1, 1)}, f"'{ALPHA}' has shape"),
        ({"audio_encoder.post_conv.conv.parametrizations.weight.original0": None}, "has tensor .*original1' without"),
        ({"vector_quantizer.fsqs.1.num_levels": torch.tensor([4, 5])}, r"holds \[4, 5\] in 'vector_quantizer.fsqs.1"),
        ({"vector_quantizer.fsqs.0.dim_base_index": torch.tensor([4, 1])}, r"holds \[4, 1\] in .*\[1, 5\] in its conf"),
        ({"vector_quantizer.fsqs.2.num_levels": torch.tensor([5, 4])}, "unknown tensor 'vector_quantizer.fsqs.2"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_their_published_name(
    tmp_path: Path, change: dict[str, Any], problem: str
):
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(publish(tmp_path, make(), change))


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"sample_rate": None}, "has no field 'sample_rate'"),
        ({"samples_per_frame": 12}, "has samples_per_frame 12 in its configuration, where the other parts have 6"),
        ({"audio_decoder.up_sample_rates": [3, 3]}, "has up_sample_rates that make 9"),
        ({"audio_encoder.encoded_dim": 6}, "has encoded_dim 6 .* the other parts have 4"),
        ({"audio_decoder.input_dim": 6}, "has input_dim 6"),
        ({"audio_encoder._target_": "x.MelEncoder"}, "has encoder 'MelEncoder' .*only HiFiGANEncoder and Causal"),
        ({"vector_quantizer._target_": "x.ResidualQuantizer"}, "has a quantizer 'ResidualQuantizer'"),
        ({"vector_quantizer.num_levels_per_group": [5, 1]}, "has num_levels_per_group"),
        ({"vector_quantizer.eps": 2}, "has eps 2 in its configuration"),
        ({"audio_encoder.activation": "relu"}, "has activation 'relu' .*one of elu, lrelu, snake, half_snake"),
        ({"audio_encoder.pad_mode": "circular"}, "has pad_mode 'circular'"),
        ({"audio_encoder.resblock_kernel_sizes": [4]}, "has sizes of no NanoCodec .*kernel sizes must be odd"),
        ({"audio_decoder.output_activation": "none"}, "has output_activation 'none'"),
        ({"semantic_codec": {"a": 1}}, "has a semantic codec"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(tmp_path: Path, config: dict[str, Any], problem: str):
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(publish(tmp_path, make(), config=config))


def test_defaults_of_the_classes_stand_in_for_fields_that_are_left_out(tmp_path: Path):
    dropped = {f"audio_encoder.{name}": None for name in ("activation", "resblock_kernel_sizes", "pad_mode")}
    dropped |= {f"audio_decoder.{name}": None for name in ("n_groups_equal_to_out_channels", "output_activation")}
    from tokaudio.tokenizers.families.nanocodec_files import sizes_of
    from tokaudio.tokenizers.published import PublishedSource

    path = publish(tmp_path, make(), config=dropped)
    sizes = sizes_of(PublishedSource(path), str(path))
    assert (sizes.encoder.activation, sizes.encoder.kernel_sizes) == ("lrelu", (3, 7, 11))
    assert (sizes.encoder.padding, sizes.decoder.padding) == ("reflect", "zeros")
    assert (sizes.decoder.paired, sizes.decoder.output, sizes.margin) == (True, "tanh", 1e-3)


def test_missing_configurations_and_foreign_weights_are_named(tmp_path: Path):
    save_file({"layer.weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="is of no known family"):
        NanoCodec.from_pretrained(tmp_path / "other.safetensors")
    state = {name: value.contiguous() for name, value in published(make()).items()}
    alone = tmp_path / "alone"
    alone.mkdir()
    save_file(state, alone / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"has no configuration \(model_config.yaml\)"):
        Tokenizer.from_pretrained(alone)


def test_our_configuration_is_judged():
    codec = make()
    config = codec.config() | {"spec": codec.spec.to_dict()}
    assert NanoCodec.from_config(config).state_dict().keys() == codec.state_dict().keys()
    for change, problem in (
        ({"levels": [5, 4, 3]}, "codebook sizes are"),
        ({"levels": [5, 1]}, "does not fit NanoCodec"),
        ({"encoder": {**config["encoder"], "width": 3}}, "does not fit NanoCodec: .*width"),
        ({"encoder": {**config["encoder"], "rates": (2, 2)}}, "hop_length is 6 in one part and 4"),
        ({"decoder": {**config["decoder"], "latent_dim": 5}}, "latent width is 4 in one part and 5"),
        ({"decoder": {**config["decoder"], "base_channels": 10}}, "base_channels is 10, which 2 changes"),
    ):
        with pytest.raises(CheckpointError, match=problem):
            NanoCodec.from_config({**config, **change})
