"""What every tokenizer does with what it is given: forms of audio, rates, channels, devices, foreign tokens."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tokaudio import Tokenizer, Tokens
from tokaudio.audio import RESAMPLER, resample, write_audio
from tokaudio.errors import AudioError, CheckpointError, TokensError
from tokaudio.tokenizers import SpectralCodec


def test_every_form_of_the_same_sound_gives_the_same_codes(codec: SpectralCodec, noise: Tensor):
    wanted = codec.encode(noise)
    assert wanted.codes.shape == (1, 3, 100)
    for form in (noise[None], noise[None, None], noise.double(), noise.numpy(), noise.numpy()[None], noise.tolist()):
        assert codec.encode(form) == wanted
    assert codec(noise) == wanted


def test_integers_are_pcm(codec: SpectralCodec, noise: Tensor):
    pcm = (noise * 32768).round().clamp(-32768, 32767).to(torch.int16)
    wanted = codec.encode(pcm.float() / 32768)
    assert codec.encode(pcm) == wanted
    assert codec.encode(pcm.numpy()) == wanted
    assert codec.encode_blocks(pcm[None].split(777, dim=1), 4_000) == wanted


def test_channels_are_averaged(codec: SpectralCodec, noise: Tensor):
    stereo = torch.stack([noise, noise.flip(0)])
    assert codec.encode(stereo) == codec.encode(stereo.sum(0) / 2)
    assert codec.encode(stereo.T) == codec.encode(stereo)
    assert codec.encode_blocks(stereo.split(1000, dim=1), 4_000) == codec.encode(stereo)


def test_a_batch_is_its_items(codec: SpectralCodec, noise: Tensor):
    batch = torch.stack([noise, noise.flip(0), noise * 0.1])[:, None]
    tokens = codec.encode(batch, num_samples=[8_000, 0, 4_001])
    assert tokens.num_samples.tolist() == [8_000, 0, 4_001]
    assert tokens.lengths.tolist() == [100, 0, 51]
    assert tokens[0] == codec.encode(noise)
    assert tokens[2] == codec.encode(noise[:4_001] * 0.1)
    assert codec.encode(batch, num_samples=torch.tensor([8_000, 0, 4_001])) == tokens
    sound = codec.decode(tokens)
    assert sound.shape == (3, 1, 8_000)
    assert not bool(sound[1].any()) and not bool(sound[2, :, 4_001:].any())


def test_a_list_holds_clips_of_any_form_and_length(codec: SpectralCodec, noise: Tensor, tmp_path: Path):
    path = tmp_path / "clip.wav"
    write_audio(path, noise[None, :999], 4_000, subtype="FLOAT")
    tokens = codec.encode([noise[:80], noise.numpy()[:161], path, str(path), noise[None, :0]])
    assert tokens.num_samples.tolist() == [80, 161, 999, 999, 0]
    assert tokens.lengths.tolist() == [1, 3, 13, 13, 0]
    assert tokens[3] == codec.encode(noise[:999])


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100])
def test_other_rates_are_resampled_and_say_so(codec: SpectralCodec, noise: Tensor, rate: int, tmp_path: Path):
    tokens = codec.encode(noise, rate)
    whole = resample(noise[None], rate, 4_000)
    assert tokens.num_samples.tolist() == [whole.shape[1]]
    assert torch.equal(tokens.codes, codec.encode(whole).codes)
    assert tokens.provenance == {"resampler": RESAMPLER}
    path = tmp_path / "clip.wav"
    write_audio(path, noise[None], rate, subtype="FLOAT")
    for other in (codec.encode(path), codec.encode([path]), codec.encode_blocks(noise[None].split(999, 1), rate)):
        assert other == tokens
        assert other.provenance == tokens.provenance
    assert not codec.encode(noise, 4_000).provenance


def test_a_rate_that_contradicts_the_file_is_refused(codec: SpectralCodec, noise: Tensor, tmp_path: Path):
    path = tmp_path / "clip.wav"
    write_audio(path, noise[None], 8_000)
    for audio in (path, [path]):
        with pytest.raises(AudioError, match=r"clip.wav: .*8000 Hz.*; leave sample_rate out"):
            codec.encode(audio, 4_000)
    assert codec.encode(path, 8_000) == codec.encode(path)


@pytest.mark.parametrize(
    ("audio", "problem"),
    [
        (torch.tensor([0.0, torch.nan]), "sample 1 is nan"),
        (torch.zeros(1, 1, 1, 5), "4 axes"),
        (torch.zeros(0, 1, 5), "no item"),
        (torch.full((8,), 20_000.0), "peak"),
        (np.array(["a"]), "samples are not audio"),
        ([torch.zeros(5), torch.tensor([torch.inf])], "sample 0 is inf"),
        ("no-such-file.wav", "no-such-file.wav"),
    ],
)
def test_unusable_audio_is_refused(codec: SpectralCodec, audio: object, problem: str):
    with pytest.raises(AudioError, match=problem):
        codec.encode(audio)


@pytest.mark.parametrize("num_samples", [[5], [5, 11], [-1, 5], [1, 2, 3]])
def test_lengths_that_do_not_fit_the_batch_are_refused(codec: SpectralCodec, num_samples: list[int]):
    with pytest.raises(AudioError, match="give one length per item"):
        codec.encode(torch.zeros(2, 1, 10), num_samples=num_samples)


def test_fewer_codebooks(codec: SpectralCodec, noise: Tensor):
    full, two = codec.encode(noise), codec.encode(noise, num_codebooks=2)
    assert two == full.select_codebooks(2)
    assert two.spec.num_codebooks == 2
    assert codec.encode_blocks([noise[None]], 4_000, num_codebooks=2) == two
    assert codec.streaming(num_codebooks=2).encoder.push(noise[None].repeat(1, 4)).shape[0] == 2
    assert not torch.equal(codec.decode(two), codec.decode(full))
    for k in (0, 4, -1):
        with pytest.raises(ValueError, match=f"between 1 and 3, got {k}"):
            codec.encode(noise, num_codebooks=k)


def test_tokens_of_others_are_refused_by_name(codec: SpectralCodec, noise: Tensor):
    shipped = Tokenizer.from_pretrained("mini-codec").encode(noise, 16_000)
    for use in (codec.decode, codec.embed, lambda tokens: next(codec.decode_blocks(tokens))):
        with pytest.raises(TokensError, match="mini-codec"):
            use(shipped)
    with pytest.raises(TokensError, match="codebooks"):
        codec.decode(codec.encode(noise).select_codebooks([1, 2]))


def test_decode_blocks_take_one_item_and_give_it_in_pieces(codec: SpectralCodec, noise: Tensor):
    tokens = codec.encode(noise.repeat(5)[:-3])
    pieces = list(codec.decode_blocks(tokens, block_frames=60))
    assert len(pieces) > 1 and sum(piece.shape[1] for piece in pieces) == 39_997
    assert torch.equal(torch.cat(pieces, 1), codec.decode(tokens)[0])
    with pytest.raises(TokensError, match=r"takes one item, got 2; use tokens\[i\]"):
        next(codec.decode_blocks(codec.encode([noise, noise])))


def test_no_samples_give_no_frames(codec: SpectralCodec):
    for audio in (torch.zeros(0), torch.zeros(2, 0), torch.zeros(2, 1, 0)):
        tokens = codec.encode(audio)
        assert tokens.codes.shape[2] == 0
        assert codec.decode(tokens).shape[1:] == (1, 0)
        assert codec.features(audio).shape[1:] == (8, 0)
        assert codec.embed(tokens).shape[1:] == (8, 0)
    assert codec.encode_blocks([], 4_000) == codec.encode(torch.zeros(0))
    assert list(codec.decode_blocks(codec.encode(torch.zeros(0)))) == []


def test_features_are_what_is_quantized(codec: SpectralCodec, noise: Tensor):
    features = codec.features([noise, noise[:800]])
    tokens = codec.encode([noise, noise[:800]])
    assert features.shape == (2, 8, 100)
    assert not bool(features[1, :, 10:].any())
    assert torch.equal(codec.quantizer.encode(features[:1]), tokens.codes[:1])
    gap = (codec.embed(tokens)[0] - features[0]).norm() / features[0].norm()
    assert float(gap) < 0.8
    assert torch.equal(codec.features(noise, 8_000), codec.features(resample(noise[None], 8_000, 4_000)))


def test_weights_of_another_type_are_refused(codec: SpectralCodec, noise: Tensor):
    tokens = codec.encode(noise)
    codec.half()
    for use in (
        lambda: codec.encode(noise),
        lambda: codec.encode_blocks([noise[None]], 4_000),
        lambda: codec.decode(tokens),
        lambda: list(codec.decode_blocks(tokens)),
        lambda: codec.features(noise),
        codec.streaming,
    ):
        with pytest.raises((CheckpointError, TokensError), match=r"float16|weights"):
            use()


def test_the_fingerprint_follows_the_weights(codec: SpectralCodec):
    before = codec.fingerprint
    assert codec.fingerprint == before and len(before) == 16
    bias = codec.decoder.out.bias.clone()
    codec.decoder.out.bias.add_(1)
    assert codec.fingerprint != before
    codec.decoder.out.bias.copy_(bias)
    assert codec.fingerprint == before
    rounded = codec.half().float().fingerprint
    assert rounded != before


def test_from_pretrained_gives_the_class_it_is_asked_of(codec: SpectralCodec, tmp_path: Path):
    codec.save_pretrained(tmp_path)
    assert type(SpectralCodec.from_pretrained(tmp_path)) is SpectralCodec

    class Other(SpectralCodec):
        pass

    with pytest.raises(CheckpointError, match="is a SpectralCodec, not a Other"):
        Other.from_pretrained(tmp_path)


def test_pieces_are_whole_frames_that_join_to_the_whole(codec: SpectralCodec) -> None:
    noise = torch.randn(1, 4_000 * 50, generator=torch.Generator().manual_seed(5)) * 0.1
    pieces = list(codec.encode_pieces(noise.split(12_345, dim=1), 4_000))
    assert len(pieces) > 1
    assert all(int(piece.num_samples[0]) == piece.codes.shape[2] * codec.spec.hop_length for piece in pieces[:-1])
    assert Tokens.concatenate(pieces) == codec.encode(noise, 4_000)
