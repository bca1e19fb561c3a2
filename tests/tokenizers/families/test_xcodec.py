"""X-Codec and Higgs: both published layouts, what they say wrong, every promise of a tokenizer, and long signals."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.near import assert_near
from tests.tokenizers.families.branches import SIZES, make, noise, publish, shared
from tokaudio import Tokenizer
from tokaudio.errors import CheckpointError
from tokaudio.nn.windows import Windows
from tokaudio.spec import CodebookSpec
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.families.dac import DAC
from tokaudio.tokenizers.families.higgs import Higgs
from tokaudio.tokenizers.families.xcodec import XCodec
from tokaudio.tokenizers.families.xcodec_files import names_of
from tokaudio.tokenizers.published import PublishedSource

_CONVS, _BLOCKS = "encoder.semantic.convolutions", "encoder_semantic.conv_blocks"
EVERY = [(name, layout) for name in ("xcodec", "wavlm", "higgs") for layout in ("transformers", "original")]


def test_every_promise_holds():
    # The one with more parts: its own resampler, and codebooks searched in a narrower space.
    check_tokenizer(shared("quick-higgs"))


@pytest.mark.parametrize("name", ["quick", "quick-higgs", "xcodec", "wavlm", "higgs"])
def test_codes_are_diverse_enough_for_these_tests(name: str):
    codec = shared(name)
    codes = codec.encode(noise(60 * codec.spec.hop_length)).codes
    assert min(len(row.unique()) for row in codes[0]) > 8


@pytest.mark.parametrize(("name", "layout"), EVERY)
def test_published_files_load_and_save_as_ours(tmp_path: Path, name: str, layout: Any):
    codec, sound = shared(name), noise(4_003)
    folder = publish(tmp_path / "in", codec, layout)
    wanted = codec.encode(sound)
    for path in (folder, next(folder.glob("*.[ps][ta]*"))):
        loaded = Tokenizer.from_pretrained(path)
        assert type(loaded) is (Higgs if name == "higgs" else XCodec) and loaded.sizes == codec.sizes
        assert torch.equal(loaded.encode(sound).codes, wanted.codes)
    assert_near(loaded.decode(loaded.encode(sound)), codec.decode(wanted))
    again = Tokenizer.from_pretrained(loaded.save_pretrained(tmp_path / "out"))
    assert type(again) is type(loaded)
    assert again.fingerprint == loaded.fingerprint and again.spec == loaded.spec and again.sizes == loaded.sizes


@pytest.mark.parametrize(("name", "rate", "hop"), [("xcodec", 16_000, 320), ("higgs", 24_000, 960)])
def test_the_spec_says_what_the_files_say(tmp_path: Path, name: str, rate: int, hop: int):
    spec = Tokenizer.from_pretrained(publish(tmp_path, shared(name), "transformers")).spec
    assert (spec.kind, spec.chunking, spec.causal, spec.sample_rate, spec.hop_length) == (
        "hybrid",
        "none",
        False,
        rate,
        hop,
    )
    assert spec.codebooks == (CodebookSpec(32, role="joint"),) * 3
    assert spec.paper == ("arXiv:2408.17175" if name == "xcodec" else "")


@pytest.mark.parametrize("name", ["quick", "quick-higgs"])
@pytest.mark.parametrize("length", [1, 20, 30, 31, 399, 4_001])
def test_latents_and_sound_are_those_of_the_networks(name: str, length: int):
    codec, sound = shared(name), noise(length)
    hop = codec.spec.hop_length
    tokens = codec.encode(sound)
    frames = -(-length // hop)
    whole = torch.nn.functional.pad(sound, (0, frames * hop - length))
    assert_near(codec.features(sound), codec.encoder(whole[None, None]))
    assert tokens.codes.shape[2] == frames
    decoded = codec.decoder(codec.quantizer.decode(tokens.codes))
    assert decoded.shape == (1, 1, frames * hop)
    assert_near(codec.decode(tokens), decoded[..., :length])


def test_both_branches_are_heard():
    codec, sound = make("quick"), noise(4_000)
    wanted = codec.features(sound)
    for value in (codec.encoder.acoustic.exit.weight, codec.encoder.semantic.listener.layers[1].down.weight):
        kept = value.clone()
        value.mul_(1.5)
        assert (codec.features(sound) - wanted).abs().max() > 1e-3
        value.copy_(kept)


def test_loud_sound_stays_loud():
    codec = make("quick")
    codec.decoder[1].exit.weight.mul_(100.0)
    assert codec.decode(codec.encode(noise(4_000))).abs().max() > 1.5


@pytest.mark.parametrize(
    ("layout", "wanted"),
    [
        (
            "transformers",
            {
                "encoder.acoustic.blocks.3.0.body.1.bias": "acoustic_encoder.block.3.res_unit1.conv1.bias",
                f"{_CONVS}.0.weight": "encoder_semantic.conv.weight",
                f"{_CONVS}.1.body.1.weight": f"{_BLOCKS}.0.res_units.0.conv1.weight",
                f"{_CONVS}.2.body.3.weight": f"{_BLOCKS}.0.res_units.1.conv2.weight",
                f"{_CONVS}.3.bias": f"{_BLOCKS}.0.conv.bias",
                f"{_CONVS}.4.body.1.weight": f"{_BLOCKS}.1.res_units.0.conv1.weight",
                "encoder.join.weight": "fc.weight",
                "quantizer.levels.2.book.table": "quantizer.quantizers.2.codebook.embed",
                "quantizer.levels.1.down.weight": "quantizer.quantizers.1.project_in.weight",
                "quantizer.levels.1.up.bias": "quantizer.quantizers.1.project_out.bias",
                "decoder.0.bias": "fc2.bias",
                "decoder.1.exit.weight": "acoustic_decoder.conv2.weight",
            },
        ),
        (
            "original",
            {
                "encoder.acoustic.blocks.3.0.body.1.bias": "encoder.block.4.block.0.block.1.bias",
                f"{_CONVS}.0.weight": "encoder_semantic.conv.conv.weight",
                f"{_CONVS}.5.body.1.weight": f"{_BLOCKS}.1.res_units.1.conv1.conv.weight",
                f"{_CONVS}.5.body.3.weight": f"{_BLOCKS}.1.res_units.1.conv2.weight",
                f"{_CONVS}.6.weight": f"{_BLOCKS}.1.conv.conv.weight",
                "encoder.join.bias": "fc_prior.bias",
                "quantizer.levels.0.book.table": "quantizer.vq.layers.0._codebook.embed",
                "quantizer.levels.1.down.bias": "quantizer.vq.layers.1.project_in.bias",
                "decoder.0.weight": "fc_post2.weight",
                "decoder.1.entry.weight": "decoder_2.model.0.weight",
            },
        ),
    ],
)  # fmt: skip
def test_tensors_have_their_published_names(layout: Any, wanted: dict[str, str]):
    names = names_of(SIZES["higgs"], layout)
    assert {name: names[name] for name in wanted} == wanted
    ours = {name for name in shared("higgs").state_dict() if not name.startswith("encoder.semantic.listener.")}
    assert names.keys() == ours and len(set(names.values())) == len(names)


def test_decoding_is_exact_in_pieces():
    codec = shared("quick-higgs")
    tokens = codec.encode(noise(40_000))
    wanted = codec.decode(tokens)[0]
    for size in (1, 7, 400):
        decoder = codec.streaming().decoder
        heard = [decoder.push(part) for part in tokens.codes[0].split(size, dim=1)]
        assert torch.equal(torch.cat([*heard, decoder.flush()], dim=1)[:, : wanted.shape[1]], wanted)


# --- long signals --------------------------------------------------------------------------------------------------


def test_windows_are_whole_up_to_a_limit_and_said_beyond_it():
    codec, exact = make("quick"), make("quick")
    codec.window_seconds, exact.window_seconds = 3.0, None
    assert codec.windows == Windows(400, 200)
    short, long = noise(12_000), noise(40_000)
    tokens = codec.encode(short)
    assert torch.equal(tokens.codes, exact.encode(short).codes) and "windows" not in tokens.provenance
    tokens, wanted = codec.encode(long), exact.encode(long)
    assert tokens.provenance["windows"] == "2 s, context 1 s: approximate"
    assert "windows" not in wanted.provenance
    assert (tokens.codes == wanted.codes).float().mean() > 0.8
    assert_near(codec.features(long), exact.features(long), within=0.05)


@pytest.mark.parametrize("length", [11_000, 40_000])
def test_streams_and_pieces_give_what_encode_gives(length: int):
    codec, sound = make("quick"), noise(length)
    codec.window_seconds = 3.0
    wanted = codec.encode(sound)
    encoder = codec.streaming().encoder
    got = [encoder.push(part[None]) for part in sound.split(1_777)]
    assert torch.equal(torch.cat([*got, encoder.flush()], dim=1), wanted.codes[0])
    pieces = codec.encode_blocks(sound[None].split(3_001, dim=1), 4_000)
    assert torch.equal(pieces.codes, wanted.codes) and pieces.num_samples.tolist() == [length]


def test_pieces_of_a_long_signal_say_that_it_was_cut(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tokaudio.tokenizers.base._PIECE_FRAMES", 300)
    codec = make("quick")
    codec.window_seconds = 9.0
    for length, cut in ((11_000, False), (44_000, True)):
        pieces = list(codec.encode_pieces(noise(length)[None].split(3_001, dim=1), 4_000))
        assert (len(pieces) > 1) == cut
        # Short enough to be taken for a whole signal, if it did not know of the others.
        assert pieces[-1].codes.shape[2] <= codec.windows.longest_whole
        assert all(("windows" in piece.provenance) == cut for piece in pieces)


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "layout", "change", "message"),
    [
        ("xcodec", "transformers", {"acoustic_encoder.conv1.bias": None}, "lacks tensor 'acoustic_encoder.conv1.bias'"),
        ("xcodec", "transformers", {"fc2.bias": torch.zeros(7)}, "'fc2.bias' has shape"),
        ("xcodec", "transformers", {"fc.bias": torch.full((30,), torch.nan)}, "NaN"),
        ("xcodec", "transformers", {"acoustic_decoder.extra": torch.zeros(1)}, "acoustic_decoder.extra"),
        ("xcodec", "transformers", {"semantic_model.encoder.extra": torch.zeros(1)}, "listener.encoder.extra"),
        ("xcodec", "transformers", {"semantic_model.encoder.layer_norm.bias": None}, "listener.norm.bias"),
        ("xcodec", "transformers", {"quantizer.quantizers.2.codebook.embed": None}, "quantizers.2.codebook.embed"),
        ("xcodec", "transformers", {"quantizer.quantizers.3.codebook.embed": torch.zeros(32, 30)}, "quantizers.3"),
        ("wavlm", "transformers", {"semantic_model.encoder.layers.0.attention.rel_attn_embed.weight": None}, "table"),
        ("higgs", "transformers", {"quantizer.quantizers.1.project_out.bias": None}, "quantizers.1.project_out.bias"),
        ("xcodec", "original", {"encoder_semantic.conv.conv.weight": None}, "encoder_semantic.conv.conv.weight"),
        ("xcodec", "original", {"semantic_model.encoder.layers.1.attention.q_proj.bias": None}, "k_proj|q_proj|inputs"),
        ("xcodec", "original", {"semantic_model.encoder.pos_conv_embed.conv.weight_g": None}, "weight_v' without"),
        ("higgs", "original", {"fc_post2.weight": None}, "fc_post2.weight"),
    ],
)
def test_damaged_weights_are_refused_by_name(
    tmp_path: Path, name: str, layout: Any, change: dict[str, Any], message: str
):
    with pytest.raises(CheckpointError, match=message):
        Tokenizer.from_pretrained(publish(tmp_path, shared(name), layout, change))


@pytest.mark.parametrize(
    ("name", "layout", "fields", "message"),
    [
        ("xcodec", "transformers", {"strides": [1, 2]}, "strides other than 1"),
        ("xcodec", "transformers", {"target_bandwidths": []}, "target_bandwidths"),
        ("xcodec", "transformers", {"target_bandwidths": ["4"]}, "target_bandwidths"),
        ("xcodec", "transformers", {"codebook_size": True}, "whole number"),
        ("xcodec", "transformers", {"model_type": "dac"}, "it must be one of xcodec, higgs_audio_v2_tokenizer"),
        ("xcodec", "transformers", {"sample_rate": 0}, "whole number from 1"),
        ("xcodec", "transformers", {"semantic_model_config": {"model_type": "bert"}}, "it must be one of hubert"),
        ("higgs", "transformers", {"semantic_sample_rate": 12_000}, "other numbers of frames"),
        ("higgs", "transformers", {"codebook_dim": 5}, "shape"),
        ("xcodec", "original", {"semantic_techer": "whisper"}, "it must be one of hubert_base"),
        ("xcodec", "original", {"ratios": [8, 5, 4]}, "other numbers of frames|hop"),
        ("xcodec", "original", {"bins": None}, "no field 'bins'"),
        ("higgs", "original", {"bins": [8, 5, 5]}, "finite scalars"),
        ("higgs", "original", {"downsample_mode": "avg"}, "another downsample_mode"),
        ("higgs", "original", {"n_q": 4}, "quantizer.vq.layers.3"),
    ],
)
def test_impossible_configurations_are_refused(
    tmp_path: Path, name: str, layout: Any, fields: dict[str, Any], message: str
):
    with pytest.raises(CheckpointError, match=message):
        Tokenizer.from_pretrained(publish(tmp_path, shared(name), layout, **fields))


@pytest.mark.parametrize(("name", "layout"), EVERY[::2] + EVERY[5:])
def test_weights_without_a_configuration_are_recognised_and_refused(tmp_path: Path, name: str, layout: Any):
    publish(tmp_path, shared(name), layout)
    for path in (*tmp_path.glob("*.json"), *tmp_path.glob("*.yaml")):
        path.unlink()
    with pytest.raises(CheckpointError, match="without a configuration"):
        Tokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize(("name", "layout"), EVERY)
def test_each_family_knows_its_own(tmp_path: Path, name: str, layout: Any):
    source = PublishedSource(publish(tmp_path, shared(name), layout))
    assert [kind.recognises(source) for kind in (XCodec, Higgs, DAC)] == [name != "higgs", name == "higgs", False]
    if name != "higgs":
        with pytest.raises(CheckpointError, match="is a X-Codec checkpoint, not a Higgs tokenizer one"):
            Higgs.from_pretrained(tmp_path)


def test_parts_that_do_not_agree_are_refused():
    codec = shared("quick")
    with pytest.raises(CheckpointError, match="not those of the network"):
        XCodec(dataclasses.replace(codec.spec, hop_length=40), codec.sizes)
    with pytest.raises(CheckpointError, match="does not fit X-Codec"):
        XCodec.from_config({"spec": codec.spec.to_dict(), "network": {}})
    with pytest.raises(CheckpointError, match="does not fit Higgs"):
        Higgs.from_config({"spec": codec.spec.to_dict(), "network": codec.sizes.to_dict() | {"width": 3}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decoder_rates": (8, 5, 4, 4)}, "a decoder of"),
        ({"decoder_rates": (8, 5, 8)}, "a decoder of"),
        ({"decoder_dim": 40}, "a decoder of"),
        ({"kernel_size": 4}, "must be odd"),
        ({"unit_kernel_size": 2}, "must be odd"),
        ({"sample_rate": 12_000}, "other numbers of frames"),
        ({"speech": dataclasses.replace(SIZES["xcodec"].speech, normalise=1e-7)}, "normalised sound"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SIZES["xcodec"], **changes)
