"""Stable Codec: both layouts, what they say wrong, grids, and every promise of a tokenizer."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.near import assert_near
from tokaudio import Tokenizer
from tokaudio.errors import CheckpointError, TokensError
from tokaudio.nn.stable_codec import StableSide
from tokaudio.nn.window_transformer import frequencies
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.families.stablecodec import GRIDS, StableCodec
from tokaudio.tokenizers.families.stablecodec_files import published_names

SIDE = StableSide((16, 16, 32), (1, 2), (1, 2), (3, 5), snake=True, head=8)
PLAIN = StableSide((128, 128), (2,), (1,), (5, 4))
GRID = [((5, 5, 5), 1.0), ((5, 5, 5), 0.25)]


def make(
    side: StableSide = SIDE, grid: Any = GRID, rate: int = 8_000, patch: int = 5, soft_clip: bool = False
) -> StableCodec:
    torch.manual_seed(0)
    books = tuple(CodebookSpec(len(levels) and levels[0] ** len(levels)) for levels, _ in grid)
    spec = TokenizerSpec("tiny-stable", "compression", rate, 2 * patch, books, chunking="state")
    codec = StableCodec(spec, side, side, patch=patch, stages=grid, soft_clip=soft_clip, trained_levels=(17,) * 6)
    codec.eval().requires_grad_(False)
    # So that signals of some seconds take several blocks.
    codec.block_seconds = 1.0
    for name, value in codec.named_parameters():
        if value.dim() == 1:
            value.add_(0.4 * torch.rand_like(value) - 0.2)
        elif "encoder" in name:
            value.mul_(1.5)
    last = codec.encoder[-1]
    rows = codec.features(noise(8_000))[0]
    last.weight.div_(rows.std(1)[:, None, None])
    last.bias.sub_(rows.mean(1)).div_(rows.std(1))
    return codec


def noise(samples: int, seed: int = 5) -> Tensor:
    return 0.3 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def config_of(codec: StableCodec) -> dict[str, Any]:
    def part(side: StableSide, outside: str) -> dict[str, Any]:
        base = side.channels[0]
        return {
            outside: codec.patch,
            "channels": base,
            "c_mults": [width // base for width in side.channels[1:]],
            "strides": list(side.strides),
            "transformer_depths": list(side.depths),
            "sliding_window": list(side.window),
            "latent_dim": codec.quantizer.dim,
            "checkpointing": True,
        } | ({"use_snake": True} if side.snake else {})

    model = {
        "encoder": {"type": "taae", "config": part(codec.encoder_side, "in_channels")},
        "decoder": {"type": "taae", "config": part(codec.decoder_side, "out_channels"), "soft_clip": codec.soft_clip},
        "bottleneck": {"type": "dithered_fsq", "config": {"dim": codec.quantizer.dim, "levels": 17}},
        "pretransform": {"type": "patched", "config": {"channels": 1, "patch_size": codec.patch}},
        "latent_dim": codec.quantizer.dim,
        "downsampling_ratio": codec.spec.hop_length,
        "io_channels": 1,
    }
    return {"model_type": "autoencoder", "sample_rate": 16_000, "model": model, "training": {}}


def tensors_of(codec: StableCodec) -> dict[str, Tensor]:
    """Return the tensors as a file has them: weight norm, frequencies, and the head of a finetuning."""
    names, tensors = published_names(codec.encoder_side, codec.decoder_side), {}
    for ours, value in codec.state_dict().items():
        name, value = names[ours], value.contiguous()
        if value.dim() == 3:
            tensors[f"{name}_g"] = value.flatten(1).norm(dim=1).view(-1, 1, 1)
            tensors[f"{name}_v"] = 3 * value
        else:
            tensors[name] = value.clone()
        if name.endswith("self_attn_scale.scale"):
            tensors[name.replace("self_attn_scale.scale", "rope.inv_freq")] = frequencies(128)
    return tensors | {"proj_head.weight": torch.ones(81, codec.quantizer.dim)}


def publish(
    folder: Path,
    codec: StableCodec,
    change: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    layout: str = "safetensors",
) -> Path:
    """Write published files and return their folder; None takes a tensor away."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in (tensors_of(codec) | (change or {})).items() if value is not None}
    (folder / "model_config.json").write_text(json.dumps(config or config_of(codec)))
    if layout == "safetensors":
        save_file(kept, folder / "model.safetensors")
    else:
        torch.save({"state_dict": kept, "epoch": 2}, folder / "model.ckpt")
    return folder


@pytest.fixture(scope="module")
def plain() -> StableCodec:
    return make(PLAIN, GRIDS["2x15625_700bps"], rate=16_000, patch=20)


def test_every_promise_holds():
    check_tokenizer(make(rate=2_000, soft_clip=True), longest=3.1)


def test_its_codes_are_diverse_enough_for_these_tests():
    assert all(len(row.unique()) > 60 for row in make().encode(noise(8_000)).codes[0])


@pytest.mark.parametrize(("layout", "file"), [("safetensors", ""), ("ckpt", ""), ("ckpt", "model.ckpt")])
def test_published_files_load_and_save_as_ours(tmp_path: Path, plain: StableCodec, layout: str, file: str):
    loaded = Tokenizer.from_pretrained(publish(tmp_path / "in", plain, layout=layout) / file)
    assert type(loaded) is StableCodec and loaded.encoder_side == PLAIN and loaded.trained_levels == (17,) * 6
    assert (loaded.spec.codebook_sizes, loaded.spec.hop_length) == ((15_625, 15_625), 40)
    sound = noise(4_003)
    wanted = plain.encode(sound)
    assert (loaded.encode(sound).codes == wanted.codes).float().mean() > 0.98
    assert_near(loaded.features(sound), plain.features(sound), within=1e-4)
    same = dataclasses.replace(wanted, fingerprint="", spec=loaded.spec)
    assert_near(loaded.decode(same), plain.decode(wanted), within=1e-4)
    again = Tokenizer.from_pretrained(loaded.save_pretrained(tmp_path / "out"))
    assert type(again) is StableCodec and again.fingerprint == loaded.fingerprint and again.spec == loaded.spec
    assert torch.equal(again.encode(sound).codes, loaded.encode(sound).codes)


def test_features_and_audio_are_those_of_the_networks_in_one_go():
    codec, sound = make(soft_clip=True), noise(8_995)
    padded = torch.nn.functional.pad(sound, (0, 5))[None, None]
    assert_near(codec.features(sound), codec.encoder(padded))
    tokens = codec.encode(sound)
    assert_near(codec.decode(tokens), codec.decoder(codec.quantizer.decode(tokens.codes))[..., :8_995])
    assert float(codec.decode(tokens).abs().max()) < 1


def test_other_grids_round_the_same_latents(plain: StableCodec):
    sound = noise(4_000)
    error = {}
    for name, sizes in (("1x46656_400bps", 1), ("2x15625_700bps", 2), ("4x729_1000bps", 4), ("trained", 1)):
        other = plain.with_grid(name)
        assert other.encoder is plain.encoder and other.spec.num_codebooks == sizes
        assert torch.equal(other.features(sound), plain.features(sound))
        tokens = other.encode(sound)
        if name != "trained":
            assert [table.device for table in other.codebooks()] == [plain.device] * sizes
        assert other.decode(tokens).shape == (1, 1, 4_000)
        error[name] = float((other.embed(tokens) - plain.features(sound).tanh()).abs().max())
    # Half a step of the finest grid, at most.
    for name, most in (
        ("trained", 0.0626),
        ("2x15625_700bps", 0.0626),
        ("4x729_1000bps", 0.0626),
        ("1x46656_400bps", 0.2001),
    ):
        assert most / 2 < error[name] < most
    with pytest.raises(TokensError, match="with other rates or codebooks"):
        plain.decode(plain.with_grid("4x729_1000bps").encode(sound))
    own = plain.with_grid([((3,) * 6, 1.0)])
    assert own.spec.codebook_sizes == (729,) and StableCodec.from_config(own.config() | {"spec": own.spec.to_dict()})
    with pytest.raises(ValueError, match="no grid is called 'fine'; there are 1x46656"):
        plain.with_grid("fine")
    with pytest.raises(ValueError, match="a grid of 2 dimensions, and latents of 6"):
        plain.with_grid([((3, 3), 1.0)])


def test_what_lies_far_away_does_not_matter():
    codec, sound = make(), noise(6_000)
    late = sound.clone()
    late[3_000:] += 1
    before, after = codec.features(sound)[0], codec.features(late)[0]
    # Two layers look 5 frames ahead, one 5 patches, and convolutions a few more.
    assert torch.equal(before[:, :275], after[:, :275]) and not torch.equal(before[:, 299:], after[:, 299:])


BLOCK, ROPE = "encoder.layers.1.layers.2.1", "decoder.layers.1.layers.0.1.rope.inv_freq"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"encoder.layers.3.bias": None}, "lacks tensor 'encoder.layers.3.bias'"),
        ({"encoder.layers.0.weight_g": None}, "has tensor .*weight_v' without"),
        ({f"{BLOCK}.ff.ff.0.proj.bias": torch.ones(3)}, r"proj.bias' has shape \[3\]"),
        ({f"{BLOCK}.self_attn_scale.scale": torch.full((128,), torch.nan)}, "holds a NaN"),
        ({f"{BLOCK}.conformer.in_norm.gamma": torch.ones(128)}, "unknown tensor"),
        ({ROPE: torch.ones(32)}, f"holds other frequencies than Stable Codec's in '{ROPE}'"),
        ({ROPE: torch.ones(8)}, "holds other frequencies"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_their_published_name(
    tmp_path: Path, plain: StableCodec, change: dict[str, Any], problem: str
):
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(publish(tmp_path, plain, change))


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("model.encoder.config.conformer", True, "has conformer True"),
        ("model.encoder.config.layer_scale", False, "has layer_scale False"),
        ("model.decoder.config.use_dilated_conv", True, "has use_dilated_conv True"),
        ("model.encoder.config.strides", [4], r"strides \(4,\) in one part and \(2,\) in the other"),
        ("model.decoder.type", "oobleck", "has type 'oobleck' in its configuration; it must be one of taae"),
        ("model.encoder.config.in_channels", 7, "has in_channels 7 in one place and 20 in another"),
        ("model.encoder.config.sliding_window", [-1, -1], "sliding_window"),
        ("model.encoder.config.transformer_depths", [1, 2], "has sizes of no Stable Codec"),
        ("model.io_channels", 2, "has 2 audio channels"),
        ("model.downsampling_ratio", 80, "states a downsampling_ratio of 80 and 40 samples per frame"),
        ("model.pretransform.type", "pqmf", "has type 'pqmf'"),
        ("model.pretransform.config.oversampling", 2, "oversamples before it cuts patches"),
        ("model.bottleneck.type", "vae", "has type 'vae'"),
        ("model.bottleneck.config.levels", [3, 3], "a quantizer of other dimensions"),
        ("model.latent_dim", 7, "latent_dim"),
        ("sample_rate", None, "has sample_rate None"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(
    tmp_path: Path, plain: StableCodec, path: str, value: Any, problem: str
):
    config = copy.deepcopy(config_of(plain))
    *sections, last = path.split(".")
    place = config
    for section in sections:
        place = place[section]
    place[last] = value
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(publish(tmp_path, plain, config=config))


def test_other_autoencoders_are_not_taken_for_it(tmp_path: Path, plain: StableCodec):
    folder = publish(tmp_path, plain)
    (folder / "model_config.json").write_text(json.dumps({"model": {"encoder": {"type": "oobleck"}}}))
    with pytest.raises(CheckpointError, match="is of no known family"):
        Tokenizer.from_pretrained(folder)
    (folder / "model_config.json").unlink()
    with pytest.raises(CheckpointError, match="is of no known family"):
        StableCodec.from_pretrained(folder)


def test_impossible_sizes_are_refused():
    for wrong, problem in (
        ({"strides": (1, 0)}, "strides is"),
        ({"channels": (16, 32, 32)}, "stride 1 cannot change"),
        ({"depths": (1,)}, "as many strides as depths"),
        ({"snake": 1}, "snake is 1"),
    ):
        with pytest.raises(ValueError, match=problem):
            dataclasses.replace(SIDE, **wrong)


def test_our_configuration_is_judged():
    codec = make()
    config = codec.config() | {"spec": codec.spec.to_dict()}
    assert StableCodec.from_config(config).state_dict().keys() == codec.state_dict().keys()
    for change in ({"patch": None}, {"encoder": {}}, {"stages": []}):
        with pytest.raises(CheckpointError, match="does not fit Stable Codec"):
            StableCodec.from_config(config | change)
    with pytest.raises(CheckpointError, match="a frame is 10 samples"):
        StableCodec.from_config(config | {"patch": 10})


def test_a_stream_of_few_frames_answers_as_soon_as_windows_are_complete():
    codec, sound = make(PLAIN, GRIDS["2x15625_700bps"], rate=16_000, patch=20), noise(4_000)
    codec.block_seconds = 20.0
    stream = codec.streaming(block_frames=3).encoder
    pieces = [stream.push(piece[None]) for piece in sound.split(200)]
    # Behind: a block that is not full, the window of the one layer, and what the convolutions reach.
    assert all(piece.shape[1] for piece in pieces[5:])
    codes = torch.cat([*pieces, stream.flush()], dim=1)
    wanted = codec.encode(sound).codes[0]
    assert codes.shape == wanted.shape
    assert (codes == wanted).float().mean() > 0.98
    with pytest.raises(ValueError, match="block_frames must be at least 1"):
        codec.streaming(block_frames=0)
