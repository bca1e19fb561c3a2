"""A decoder learns to speak from fixed codes: what it is shown, and that it learns and resumes."""

from pathlib import Path

import pytest
import torch

from tests.near import assert_near
from tokaudio.nn.spectral_codec import SpectralCodecShape, SpectralDecoder
from tokaudio.quantizers import KMeansQuantizer
from tokaudio.training.loop import Loop, Schedule
from tokaudio.training.pool import AudioPool
from tokaudio.training.teacher import frame_starts
from tokaudio.training.vocoding import VocoderTraining, VocodingOptions, refit_entry, warm_start

HOP = 80
SHAPE = SpectralCodecShape(hop_length=HOP, n_fft=160, latent_dim=8, decoder_dim=24, decoder_blocks=1)


def make(pool: AudioPool, **options: object) -> VocoderTraining:
    """A training whose codes are the number of the frame, in base 10."""
    torch.manual_seed(0)
    number = torch.arange(frame_starts(pool, HOP)[-1])
    chosen = {"batch": 4, "crop_frames": 16, "windows": (64, 128), "half": False, **options}
    return VocoderTraining(
        SpectralDecoder(SHAPE),
        KMeansQuantizer(8, 11, parts=2),
        pool,
        torch.stack([number // 10, number % 10]).to(torch.int16),
        options=VocodingOptions(**chosen),
        hop_length=HOP,
    )


@pytest.mark.parametrize("wanted", [16, 50, 70])
def test_an_example_is_codes_with_surroundings_and_their_sound(pool: AudioPool, wanted: int):
    training = make(pool, crop_frames=wanted)
    reach = training.decoder.reach
    for seed in range(8):
        codes, samples = training.example(torch.Generator().manual_seed(seed))
        assert codes.shape == (2, wanted + 2 * reach) and samples.shape == (wanted * HOP,)
        number = torch.where(codes[0] < 0, -1, codes[0] * 10 + codes[1])
        first = int(number[reach])
        clip = sum(first >= start for start in training.starts) - 1
        start, end = training.starts[clip : clip + 2]
        around = torch.arange(first - reach, first + wanted + reach)
        assert torch.equal(number, torch.where((around >= start) & (around < end), around, -1))
        own = pool.read(pool.clips[clip], (first - start) * HOP, wanted * HOP)
        assert torch.equal(samples[: len(own)], own) and not bool(samples[len(own) :].any())


def test_a_vocoder_learns(pool: AudioPool):
    training = make(pool)
    losses = [training.step(torch.Generator().manual_seed(n), n, 5e-3)["loss"] for n in range(50)]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    assert not any(value.requires_grad for value in training.quantizer.parameters())


def test_some_items_are_spoken_from_their_first_codebook(pool: AudioPool):
    training = make(pool)
    codes = torch.tensor([[[1, -1, 3], [4, -1, 6]]]).expand(2, -1, -1)
    both, first = training.vectors(codes, torch.tensor([False, True]))
    assert torch.equal(both[:4], first[:4]) and not bool(first[4:].any()) and bool(both[4:, 0].any())
    assert not bool(both[:, 1].any()), "what is no frame is silent"


def test_the_sound_of_the_crop_is_compared_without_its_surroundings(pool: AudioPool, monkeypatch: pytest.MonkeyPatch):
    training = make(pool, batch=1)
    codes, wanted = training.example(torch.Generator().manual_seed(0))
    edge = training.decoder.context + training.decoder.reach * HOP
    counted = torch.arange(16.0 * HOP + 2 * edge)[None]
    monkeypatch.setattr(training.decoder, "forward", lambda vectors: counted + 0 * training.decoder.out.bias.sum())
    seen: list[torch.Tensor] = []
    loss = training.loss.forward
    monkeypatch.setattr(training.loss, "forward", lambda *pair: seen.extend(pair) or loss(*pair))
    training.step(torch.Generator().manual_seed(0), 0, 0.0)
    assert torch.equal(seen[0], counted[:, edge : edge + 16 * HOP])
    assert torch.equal(seen[1][0], wanted) and codes.shape[1] == 16 + 2 * training.decoder.reach


def test_half_precision_learns_much_the_same(pool: AudioPool):
    first = [make(pool, half=half).step(torch.Generator().manual_seed(0), 0, 1e-3)["loss"] for half in (False, True)]
    assert first[1] == pytest.approx(first[0], rel=0.05)


def test_resuming_equals_going_on(pool: AudioPool, tmp_path: Path):
    whole, first, second = make(pool), make(pool), make(pool)
    schedule = Schedule(6, warmup=2)
    Loop(tmp_path / "whole", whole, schedule).run(quiet=True)
    Loop(tmp_path / "parts", first, schedule).run(stop_after=3, quiet=True)
    loop = Loop(tmp_path / "parts", second, schedule)
    assert loop.resume() == 3
    loop.run(quiet=True)
    for name, value in whole.descent.averaged.items():
        assert torch.equal(value, second.descent.averaged[name])


def test_a_warm_start_takes_what_fits(pool: AudioPool):
    torch.manual_seed(1)
    other = SpectralDecoder(
        SpectralCodecShape(hop_length=HOP, n_fft=160, latent_dim=5, decoder_dim=24, decoder_blocks=1)
    )
    decoder = SpectralDecoder(SHAPE)
    before = decoder.stack.entry.weight.clone()
    assert warm_start(decoder, other) == ["stack.entry.weight"]
    assert torch.equal(decoder.out.weight, other.out.weight) and torch.equal(decoder.stack.entry.weight, before)


def test_codes_of_another_pool_are_refused(pool: AudioPool):
    with pytest.raises(ValueError, match="frames and there are codes of 3"):
        VocoderTraining(
            SpectralDecoder(SHAPE),
            KMeansQuantizer(8, 11, parts=2),
            pool,
            torch.zeros(2, 3, dtype=torch.int16),
            options=VocodingOptions(),
            hop_length=HOP,
        )


def test_a_decoder_speaks_from_the_vectors_of_another_quantizer():
    torch.manual_seed(0)
    decoder = SpectralDecoder(SHAPE)
    before, after = KMeansQuantizer(8, 11, parts=2), KMeansQuantizer(8, 11, parts=2)
    turned = torch.linalg.qr(torch.randn(4, 4)).Q
    for old, new in zip(before.books, after.books, strict=True):
        new.load_state_dict({"table": old.table.flip(0) @ turned})
    codes = torch.randint(0, 11, (2, 200))
    other = 10 - codes
    with torch.inference_mode():
        wanted = decoder(before.decode(codes[None]))
        alone = decoder(before.decode(codes[None, :1]))
        refit_entry(decoder, before, after, list(zip(codes.split(150, dim=1), other.split(150, dim=1), strict=True)))
        assert_near(decoder(after.decode(other[None])), wanted, within=1e-3)
        assert_near(decoder(after.decode(other[None, :1])), alone, within=1e-3)
