"""WavTokenizer: Lightning checkpoints with their YAML, what they say wrong, every promise, and long signals."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from tests.near import assert_near
from tokaudio import Tokenizer
from tokaudio.errors import CheckpointError
from tokaudio.nn.conv import Conv1d
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.families.wavtokenizer import WavTokenizer

CONFIG: dict[str, Any] = {
    "sample_rate": 4_000,
    "filters": 8,
    "downsamples": [5, 4],
    "vq_bins": 32,
    "input_channels": 16,
    "dim": 64,
    "intermediate_dim": 72,
    "num_layers": 2,
    "conditions": 4,
    "n_fft": 80,
}
_BODY = {"body.0": "norm1", "body.2": "conv1", "body.3": "norm2", "body.5": "conv2"}


def noise(samples: int, seed: int = 5) -> Tensor:
    return 0.3 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def make(**fields: Any) -> WavTokenizer:
    torch.manual_seed(0)
    codec = WavTokenizer.from_config(CONFIG | fields).eval().requires_grad_(False)
    for name, value in codec.named_parameters():
        if name.startswith("decoder"):
            value.add_(0.1 * torch.randn_like(value))
        else:
            value.mul_(2.0 if "lstm" in name else 1.5)
    codec.quantizer.initialise(codec.features(noise(20_000))[0].T)
    return codec


def published(codec: WavTokenizer) -> dict[str, Tensor]:
    """Return the state under the published names, with weight norm and what training leaves behind."""
    front = "feature_extractor.encodec."
    book = f"{front}quantizer.vq.layers.0._codebook."
    tensors = {f"{book}inited": torch.ones(1), f"{book}embed_avg": torch.ones(32, 16)}
    tensors |= {f"{front}decoder.model.0.conv.conv.bias": torch.ones(3), "head.istft.window": torch.ones(80)}
    tensors |= {"multiperioddisc.convs.0.weight_g": torch.ones(3), "dac.loss": torch.ones(1)}
    for name, value in codec.state_dict().items():
        stem, _, leaf = name.rpartition(".")
        if name.startswith("quantizer"):
            tensors[f"{book}embed"] = value.clone()
        elif name.startswith("encoder"):
            stem = f"{front}{stem}".replace("layers.", "model.").replace("body.", "block.")
            if not isinstance(codec.get_submodule(name.rpartition(".")[0]), Conv1d):
                tensors[f"{stem}.{leaf}"] = value.clone()
            elif leaf == "weight":
                tensors[f"{stem}.conv.conv.weight_g"] = value.flatten(1).norm(dim=1).view(-1, 1, 1)
                tensors[f"{stem}.conv.conv.weight_v"] = 3 * value.contiguous()
            else:
                tensors[f"{stem}.conv.conv.bias"] = value.clone()
        else:
            name = re.sub(r"body\.\d", lambda m: _BODY[m[0]], name.removeprefix("decoder."))
            tensors[name if name.startswith("head.") else f"backbone.{name}"] = value.clone()
    return tensors


def training(codec: WavTokenizer) -> dict[str, Any]:
    """Return the configuration of a training that makes such a codec."""
    sizes = codec.config()
    front = {"num_quantizers": 1, "dowmsamples": sizes["downsamples"], "vq_bins": sizes["vq_bins"]}
    backbone = {name: sizes[name] for name in ("input_channels", "dim", "intermediate_dim", "num_layers")}
    if sizes["conditions"]:
        backbone["adanorm_num_embeddings"] = sizes["conditions"]
    hop = codec.spec.hop_length
    head = {"dim": sizes["dim"], "n_fft": sizes["n_fft"], "hop_length": hop, "padding": "same"}
    parts = {"feature_extractor": front, "backbone": backbone, "head": head}
    model = {name: {"class_path": "decoder.X", "init_args": given} for name, given in parts.items()}
    return {"model": {"init_args": {"sample_rate": sizes["sample_rate"], **model}}, "trainer": {"devices": [0]}}


def publish(
    folder: Path, codec: WavTokenizer, change: dict[str, Any] | None = None, name: str = "a", **fields: Any
) -> Path:
    """Write published files; `change` replaces tensors, None takes one away; `fields` are `part__field` of the YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    config = training(codec)
    for field, value in fields.items():
        part, _, inner = field.partition("__")
        given = config["model"]["init_args"][part]["init_args"]
        given.pop(inner) if value is None else given.__setitem__(inner, value)
    (folder / f"training_{name}.yaml").write_text(yaml.safe_dump(config))
    tensors = {key: value for key, value in (published(codec) | (change or {})).items() if value is not None}
    torch.save({"epoch": 1, "state_dict": tensors, "hyper_parameters": {"x": 1}}, folder / f"{name}.ckpt")
    return folder


@pytest.mark.parametrize("conditions", [4, 0])
def test_every_promise_holds(conditions: int):
    check_tokenizer(make(conditions=conditions))


def test_its_codes_are_diverse_enough_for_these_tests():
    assert len(make().encode(noise(8_000)).codes.unique()) > 12


@pytest.mark.parametrize("conditions", [4, 0])
def test_published_files_load_and_save_as_ours(tmp_path: Path, conditions: int):
    codec, sound = make(conditions=conditions), noise(4_003)
    folder = publish(tmp_path / "in", codec)
    wanted = codec.encode(sound)
    for path in (folder, folder / "a.ckpt"):
        loaded = Tokenizer.from_pretrained(path)
        assert type(loaded) is WavTokenizer
        assert torch.equal(loaded.encode(sound).codes, wanted.codes)
    assert_near(loaded.decode(loaded.encode(sound)), codec.decode(wanted))
    again = Tokenizer.from_pretrained(loaded.save_pretrained(tmp_path / "out"))
    assert type(again) is WavTokenizer and again.fingerprint == loaded.fingerprint and again.spec == loaded.spec
    assert (again.spec.kind, again.spec.chunking, again.spec.frame_rate) == ("compression", "none", 200)


def test_of_several_configurations_the_one_that_fits_is_taken(tmp_path: Path):
    small, large = make(), make(n_fft=120)
    publish(tmp_path, small, name="small")
    publish(tmp_path, large, name="large")
    for name, codec in (("small", small), ("large", large)):
        loaded = Tokenizer.from_pretrained(tmp_path / f"{name}.ckpt")
        assert isinstance(loaded, WavTokenizer) and loaded.vocos == codec.vocos
    (tmp_path / "training_large.yaml").write_text((tmp_path / "training_small.yaml").read_text())
    for name, message in (("small", "and 2 of the 2 YAML files beside it fit"), ("large", "and none of the 2 YAML")):
        with pytest.raises(CheckpointError, match=message):
            Tokenizer.from_pretrained(tmp_path / f"{name}.ckpt")


@pytest.mark.parametrize("length", [1, 19, 20, 21, 4_001])
def test_latents_and_sound_are_those_of_the_networks(length: int):
    codec, sound = make(), noise(length)
    latents = codec.features(sound)
    assert_near(latents, codec.encoder(sound[None, None]), within=0.0001)
    tokens = codec.encode(sound)
    assert tokens.codes.shape[2] == -(-length // 20) == latents.shape[2]
    whole = codec.decoder(codec.quantizer.decode(tokens.codes))
    assert_near(codec.decode(tokens), whole[..., :length], within=0.0001)


# --- long signals --------------------------------------------------------------------------------------------------


def test_codes_are_exact_at_any_length_and_sound_comes_in_windows():
    codec, exact = make(), make()
    codec.window_seconds, exact.window_seconds = 3.0, None
    short, long = noise(12_000), noise(40_000)
    assert torch.equal(codec.decode(codec.encode(short)), exact.decode(exact.encode(short)))
    tokens, wanted = codec.encode(long), exact.encode(long)
    assert torch.equal(tokens.codes, wanted.codes) and not tokens.provenance
    heard, whole = codec.decode(tokens), exact.decode(wanted)
    assert heard.shape == whole.shape and 0 < (heard - whole).abs().mean() < 0.2 * whole.std()


@pytest.mark.parametrize(("length", "seconds"), [(11_000, 3.0), (40_000, 3.0), (80_000, 9.0)])
def test_streams_and_pieces_give_what_encode_and_decode_give(length: int, seconds: float):
    codec, sound = make(), noise(length)
    codec.window_seconds = seconds
    wanted = codec.encode(sound)
    streaming = codec.streaming()
    got = [streaming.encoder.push(part[None]) for part in sound.split(1_777)]
    # The encoder waits for its blocks only.
    assert sum(part.shape[1] for part in got) * 20 > length - 16_000
    assert torch.equal(torch.cat([*got, streaming.encoder.flush()], dim=1), wanted.codes[0])
    assert torch.equal(codec.encode_blocks(sound[None].split(3_001, dim=1), 4_000).codes, wanted.codes)
    heard = [streaming.decoder.push(part) for part in wanted.codes[0].split(37, dim=1)]
    heard.append(streaming.decoder.flush())
    assert torch.equal(torch.cat(heard, dim=1)[:, :length], codec.decode(wanted)[0])
    assert torch.equal(torch.cat(list(codec.decode_blocks(wanted)), dim=1), codec.decode(wanted)[0])


# --- what is refused -----------------------------------------------------------------------------------------------

_BIAS = "feature_extractor.encodec.encoder.model.0.conv.conv.bias"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({_BIAS: None}, re.escape(_BIAS)),
        ({_BIAS: torch.zeros(7)}, "encoder.model.0.conv.conv.weight' has shape"),
        ({_BIAS: torch.full((8,), torch.nan)}, "NaN"),
        ({"backbone.pos_net.2.q.weight": None}, "lacks tensor 'backbone.pos_net.2.q.weight'"),
        ({"backbone.pos_net.9.q.weight": torch.zeros(1)}, "unknown tensor 'backbone.pos_net.9.q.weight'"),
        (
            {"backbone.convnext.1.norm.scale.weight": torch.zeros(3, 64)},
            "convnext.1.norm.scale.weight' has shape",
        ),
        ({"head.out.bias": torch.full((82,), torch.inf)}, "Inf"),
    ],
)
def test_damaged_weights_are_refused_by_name(tmp_path: Path, change: dict[str, Any], message: str):
    with pytest.raises(CheckpointError, match=message):
        Tokenizer.from_pretrained(publish(tmp_path, make(), change))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"backbone__dim": None}, "has no field 'dim'"),
        ({"backbone__dim": 40}, "dim one of 32"),
        ({"head__n_fft": 90}, "n_fft must be a multiple"),
        ({"head__padding": "center"}, "it must be one of same"),
        ({"head__hop_length": 40}, "do not agree"),
        ({"feature_extractor__num_quantizers": 2}, "several quantizers"),
        ({"feature_extractor__dowmsamples": "8"}, "list of 1 to 16"),
        ({"feature_extractor__vq_bins": 0}, "whole number from 1"),
        ({"backbone__adanorm_num_embeddings": "four"}, "whole number"),
    ],
)
def test_impossible_configurations_are_refused_by_field(tmp_path: Path, fields: dict[str, Any], message: str):
    with pytest.raises(CheckpointError, match=message):
        Tokenizer.from_pretrained(publish(tmp_path, make(), **fields))


def test_weights_without_a_configuration_are_recognised_and_refused(tmp_path: Path):
    publish(tmp_path, make())
    (tmp_path / "training_a.yaml").unlink()
    with pytest.raises(CheckpointError, match="put the configuration that belongs to it beside it"):
        Tokenizer.from_pretrained(tmp_path)


def test_parts_that_do_not_agree_are_refused():
    config = make().config() | {"spec": make().spec.to_dict()}
    for change in ({"downsamples": [2, 2]}, {"spec": {**config["spec"], "codebooks": [{"size": 32}] * 2}}):
        with pytest.raises(CheckpointError, match=r"do not agree|has one"):
            WavTokenizer.from_config(config | change)
