"""S3Tokenizer with small random networks: the contract, long audio, all published layouts, and what is refused."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.near import assert_near
from tests.s3_onnx import write_onnx
from tokaudio import Tokenizer
from tokaudio.audio.log_mel import scaled
from tokaudio.errors import CheckpointError, TokensError
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.testing import check_quantizer, check_tokenizer
from tokaudio.testing._case import sound
from tokaudio.tokenizers.families.s3tokenizer import S3Tokenizer, TernaryQuantizer, windows
from tokaudio.tokenizers.families.s3tokenizer_files import facts
from tokaudio.tokenizers.published import PublishedSource

VARIANTS = ["v1-50hz", "v1-25hz", "v2", "v3"]
PACKAGE = {
    "head.weight": "quantizer._codebook.project_down.weight",
    "head.bias": "quantizer._codebook.project_down.bias",
    "quantizer.book.table": "quantizer._codebook.embed",
}


def make(variant: str = "v2") -> S3Tokenizer:
    torch.manual_seed(0)
    first, stride = variant.startswith("v1"), 1 if variant == "v1-50hz" else 2
    layers = {"v3": 3}.get(variant, 2)
    network = {"mels": 80, "width": 64, "layers": layers, "stride": stride}
    network |= {"positions": 1500 if first else 0, "memory": 0 if first else 31}
    book = CodebookSpec(32 if first else 6561, role="semantic")
    tokenizer = S3Tokenizer(TokenizerSpec("tiny", "semantic", 16_000, 320 * stride, (book,)), network)
    for name, weight in tokenizer.named_parameters():
        if "_ln.weight" not in name:
            torch.nn.init.normal_(weight, std=1.5 / max(1, weight[0].numel()) ** 0.5 if weight.ndim > 1 else 0.1)
    tokenizer.eval().requires_grad_(False)
    if first:
        torch.nn.init.normal_(tokenizer.encoder.positional_embedding, std=0.3)
        vectors = tokenizer.features(sound(32_000, 16_000)).transpose(1, 2).flatten(0, 1)
        tokenizer.quantizer.initialise(tokenizer.head(vectors))
    return tokenizer


def published(tokenizer: S3Tokenizer) -> dict[str, Tensor]:
    """Return a tokenizer's tensors by the names of the package."""
    return {PACKAGE.get(name, name): value for name, value in tokenizer.state_dict().items()}


def saved(tokenizer: S3Tokenizer, variant: str, path: Path, **changes: Tensor | None) -> Path:
    """Write a published model with some tensors replaced, or left out where they are None."""
    state = published(tokenizer) | changes
    write_onnx({name: value for name, value in state.items() if value is not None}, variant, path)
    return path


@pytest.mark.parametrize("variant", ["v1-25hz", "v2"])
def test_it_keeps_every_promise(variant: str):
    report = check_tokenizer(make(variant), longest=2.2)
    assert not report.broken
    laws = {law.name: law.cases for law in report.laws}
    assert laws["decode_blocks"] == 4
    assert {name for name, cases in laws.items() if not cases} == {
        "streaming encode",
        "encode_blocks",
        "streaming decode",
        "interleaved streams",
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_published_models_load_to_the_same_codes(variant: str, tmp_path: Path):
    tokenizer, clip = make(variant), sound(40_000, 16_000)
    loaded = Tokenizer.from_pretrained(saved(tokenizer, variant, tmp_path / "model.onnx"))
    assert isinstance(loaded, S3Tokenizer)
    assert loaded.fingerprint == tokenizer.fingerprint
    assert loaded.network == tokenizer.network
    codes = loaded.encode(clip).codes
    assert torch.equal(codes, tokenizer.encode(clip).codes)
    assert codes.unique().numel() > 10
    assert loaded.spec.name == "model.onnx" and loaded.spec.codebooks == tokenizer.spec.codebooks
    assert (loaded.spec.kind, loaded.spec.chunking, loaded.spec.causal) == ("semantic", "none", False)


def test_state_dicts_of_the_package_load(tmp_path: Path):
    tokenizer = make("v3")
    torch.save(published(tokenizer), tmp_path / "s3.pt")
    assert Tokenizer.from_pretrained(tmp_path / "s3.pt").fingerprint == tokenizer.fingerprint


def test_state_dicts_that_do_not_tell_the_rate_are_refused(tmp_path: Path):
    torch.save(published(make("v1-25hz")), tmp_path / "s3.pt")
    with pytest.raises(CheckpointError, match=r"does not say whether it is the model of 50 Hz or of 25 Hz; give"):
        Tokenizer.from_pretrained(tmp_path / "s3.pt")


def test_our_own_folder_gives_it_back(tmp_path: Path):
    for variant in ("v1-50hz", "v2"):
        tokenizer = make(variant)
        again = Tokenizer.from_pretrained(tokenizer.save_pretrained(tmp_path / variant))
        assert again.fingerprint == tokenizer.fingerprint and again.config() == tokenizer.config()


def test_what_is_known_comes_by_the_sizes(tmp_path: Path):
    source = PublishedSource(tmp_path / "any.onnx")
    sizes = {"width": 1280, "stride": 2, "positions": 0, "layers": 12}
    found = facts(source, sizes)
    assert (found.name, found.licence, found.paper) == ("s3-v3", "apache-2.0", "arXiv:2505.17589")
    assert facts(source, sizes | {"layers": 6}).name == "s3-v2"
    assert facts(source, sizes | {"layers": 6, "stride": 1, "positions": 1500}).name == "s3-v1-50hz"
    assert facts(source, sizes | {"width": 640}).name == "any.onnx"


LAYER = "encoder.blocks.1.attn.out.weight"


@pytest.mark.parametrize(
    ("variant", "name", "change", "words"),
    [
        ("v2", "encoder.blocks.0.mlp_ln.bias", lambda v: v * torch.nan, r"encoder.blocks.0.mlp_ln.bias"),
        ("v2", LAYER, lambda v: v[:, :60].contiguous(), r"encoder.blocks.1.attn.out.weight"),
        ("v2", "encoder.conv1.weight", lambda v: v[:60], r"'encoder.conv1.weight' of shape \[60, 80, 3\]"),
        ("v1-50hz", "encoder.positional_embedding", lambda v: v[:, :60], "positional_embedding"),
    ],
)
def test_damaged_models_are_refused_by_name(variant: str, name: str, change, words: str, tmp_path: Path):
    tokenizer = make(variant)
    path = saved(tokenizer, variant, tmp_path / "a.onnx", **{name: change(published(tokenizer)[name])})
    with pytest.raises(CheckpointError, match=words) as refusal:
        Tokenizer.from_pretrained(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("encoder.blocks.1.mlp.2.bias", "encoder.blocks.1.mlp.2.bias"),
        ("encoder.conv1.bias", "encoder.conv1.bias"),
        ("encoder.conv1.weight", r"lacks tensor 'encoder.conv1.weight'"),
        ("encoder.blocks.0.attn.fsmn_block.weight", r"lacks tensor 'encoder.blocks.0.attn.fsmn_block.weight'"),
        ("quantizer._codebook.project_down.weight", "has no quantizer"),
    ],
)
def test_missing_tensors_are_refused_by_name(missing: str, words: str, tmp_path: Path):
    state = published(make())
    del state[missing]
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=words):
        Tokenizer.from_pretrained(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("encoder.blocks.0.attn.key.bias", "encoder.blocks.0.attn.key.bias"),
        ("quantizer._codebook.embed", "has two quantizers"),
        ("encoder.positional_embedding", "has position vectors, unlike"),
    ],
)
def test_tensors_too_many_are_refused_by_name(more: str, words: str, tmp_path: Path):
    torch.save(published(make()) | {more: torch.zeros(64, 64)}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=words):
        Tokenizer.from_pretrained(tmp_path / "a.pt")


@pytest.mark.parametrize("change", [{"hop_length": 320}, {"sample_rate": 24_000}, {"channels": 2}])
def test_parts_that_do_not_agree_are_refused(change: dict[str, int]):
    tokenizer = make()
    config = tokenizer.config() | {"spec": tokenizer.spec.to_dict() | change}
    with pytest.raises(CheckpointError, match="in the spec and"):
        S3Tokenizer.from_config(config)
    with pytest.raises(CheckpointError, match="does not fit S3Tokenizer"):
        S3Tokenizer.from_config({**config, "network": {"mels": 80}})


# --- long audio ------------------------------------------------------------------------------------------------------


@given(st.integers(1, 20_000), st.sampled_from([2, 4]))
def test_windows_give_every_code_once(frames: int, step: int):
    plan = list(windows(frames, step))
    assert sum(count for *_, count in plan) == -(-frames // step)
    at = 0
    for start, stop, first, count in plan:
        assert (start + first) == at * step
        assert stop - start <= 3000 and stop <= frames
        assert 0 < count <= -(-(stop - start - first) // step)
        at += count


def test_a_last_window_begins_where_it_still_has_a_code_to_give():
    assert list(windows(5400, 4)) == [(0, 3000, 0, 700), (2600, 5400, 200, 650)]
    assert list(windows(5401, 4))[1:] == [(2600, 5401, 200, 650), (5200, 5401, 200, 1)]


def test_version_1_searches_with_unit_vectors():
    tokenizer, clip = make("v1-25hz"), sound(32_000, 16_000)
    vectors = tokenizer.features(clip)[0].T
    units = vectors / vectors.norm(dim=1, keepdim=True)
    nearest = torch.cdist(units, tokenizer.codebooks()[0]).argmin(1)
    assert torch.equal(tokenizer.encode(clip).codes[0, 0], nearest)
    assert not torch.equal(torch.cdist(vectors, tokenizer.codebooks()[0]).argmin(1), nearest)


@pytest.mark.parametrize("variant", ["v1-50hz", "v2"])
def test_long_audio_is_joined_in_the_middle_of_the_overlap(variant: str):
    tokenizer = make(variant)
    clip = sound(58 * 16_000 + 5000, 16_000)
    rate = int(tokenizer.spec.frame_rate)
    stage = tokenizer.mel.stage()
    raw = stage(clip[0, :, None], True)
    mel = scaled(raw, raw.max())
    vectors = [tokenizer.encoder(mel[None, start : start + 3000])[0] for start in (0, 2600, 5200)]
    wanted = torch.cat([vectors[0][: 28 * rate], vectors[1][2 * rate : 28 * rate], vectors[2][2 * rate :]])
    got = tokenizer.features(clip)[0].T
    assert_near(got, wanted, within=0.0001)
    tokens = tokenizer.encode(clip)
    assert tokens.codes.shape[2] == len(wanted) == tokenizer.spec.num_frames(clip.shape[1])
    assert tokens.provenance["windows"] == "30 s, overlap 4 s, joined at its middle"


def test_long_audio_in_pieces_and_whole():
    tokenizer, clip = make(), sound(33 * 16_000 + 77, 16_000)
    whole = tokenizer.encode(clip)
    pieces = tokenizer.encode_blocks(clip.split(70_001, dim=1), 16_000)
    assert torch.equal(pieces.codes, whole.codes)
    assert pieces.provenance == whole.provenance
    assert pieces.num_samples.tolist() == [clip.shape[1]]


def test_audio_of_one_window_says_nothing_of_windows():
    tokenizer = make()
    assert "windows" not in tokenizer.encode(sound(30 * 16_000 + 159, 16_000)).provenance
    assert "windows" in tokenizer.encode(sound(30 * 16_000 + 160, 16_000)).provenance


@given(st.integers(1, 3000))
def test_only_a_rest_shorter_than_a_mel_frame_is_filled_up(samples: int):
    for variant in ("v1-50hz", "v2"):
        tokenizer = _TINY[variant]
        hop = tokenizer.spec.hop_length
        padded = tokenizer.padded_length(samples)
        step = hop // 160
        assert -(-(padded // 160) // step) == tokenizer.spec.num_frames(samples)
        assert padded == samples or padded - samples < 320
        assert padded > 200
        if samples > 320 and not 0 < samples % hop < 160:
            assert padded == samples


_TINY = {variant: make(variant) for variant in ("v1-50hz", "v2")}


# --- encode only -----------------------------------------------------------------------------------------------------


def test_decoding_is_refused_in_one_line():
    tokenizer = make()
    tokens = tokenizer.encode(sound(16_000, 16_000))
    streaming = tokenizer.streaming()
    for action in (
        lambda: tokenizer.decode(tokens),
        lambda: tokenizer.decode_blocks(tokens),
        lambda: streaming.decoder.push(tokens.codes[0]),
        lambda: streaming.decoder.flush(),
    ):
        with pytest.raises(TokensError, match=r"^tiny: turns sound into tokens only; make sound with the CosyVoice"):
            action()
    assert not S3Tokenizer.decodes


def test_vectors_of_codes_are_digits_or_codewords():
    tokenizer = make()
    tokens = tokenizer.encode(sound(16_000, 16_000))
    vectors = tokenizer.embed(tokens)[0].T
    assert set(vectors.unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert torch.equal(((vectors + 1) * 3 ** torch.arange(8)).sum(1).long(), tokens.codes[0, 0])
    assert tokenizer.features(sound(16_000, 16_000)).shape == (1, 64, 25)
    assert tokenizer.features(torch.zeros(0)).shape == (1, 64, 0)


def test_the_ternary_quantizer_has_published_bounds():
    quantizer = TernaryQuantizer(8)
    assert not check_quantizer(quantizer).broken
    edge = float(torch.atanh(torch.tensor(0.5 / 0.999)))
    rows = torch.full((1, 8, 1), edge - 1e-4)
    assert quantizer.encode(rows).item() == (3**8 - 1) // 2
    assert quantizer.encode(rows + 2e-4).item() == 3**8 - 1
