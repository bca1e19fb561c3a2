"""Training of a tiny spectral codec: it learns, resumes to the bit, and what it makes can be exported."""

import copy
from pathlib import Path

import pytest
import torch

from tokaudio.nn.spectral_codec import SpectralCodecShape
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers import SpectralCodec
from tokaudio.training.loop import Loop, Schedule
from tokaudio.training.losses import SpectralLossWeights
from tokaudio.training.reconstruction import ReconstructionOptions, ReconstructionTraining

SCHEDULE = Schedule(60, warmup=5, peak=4e-3)


def flat(state: object) -> list[torch.Tensor | float]:
    """Return all tensors and numbers of a state, in order."""
    if isinstance(state, dict):
        return [leaf for value in state.values() for leaf in flat(value)]
    if isinstance(state, (list, tuple)):
        return [leaf for value in state for leaf in flat(value)]
    return [state]  # type: ignore[list-item]


def same(a: ReconstructionTraining, b: ReconstructionTraining) -> bool:
    pairs = zip(flat(a.state()), flat(b.state()), strict=True)
    return all(torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y for x, y in pairs)


@pytest.mark.parametrize("stop", [2, 7])
def test_resuming_equals_going_on_before_and_after_quantizing_begins(make_training, tmp_path: Path, stop: int):
    whole, first, second = make_training(), make_training(), make_training()
    schedule = Schedule(10, warmup=2)
    Loop(tmp_path / "whole", whole, schedule).run(quiet=True)
    Loop(tmp_path / "parts", first, schedule).run(stop_after=stop, quiet=True)
    assert first.quantizing == (stop > 4)
    loop = Loop(tmp_path / "parts", second, schedule)
    assert loop.resume() == stop
    assert same(first, second)
    loop.run(quiet=True)
    assert same(whole, second)
    assert not same(whole, first)


def test_a_tiny_codec_learns_two_seconds_of_sound(make_training, tmp_path: Path):
    training = make_training(continuous_steps=20, plain=1.0)
    losses: list[float] = []
    step = training.step

    def recorded(generator: torch.Generator, number: int, rate: float) -> dict[str, float]:
        figures = step(generator, number, rate)
        losses.append(figures["loss"])
        return figures

    training.step = recorded
    Loop(tmp_path, training, SCHEDULE).run(quiet=True)
    assert sum(losses[15:20]) < 0.8 * sum(losses[:5]), "it learns without quantization"
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5]), "and with it"


def test_quantizing_begins_with_codebooks_that_fit(make_training):
    training = make_training(continuous_steps=3)
    for number in range(3):
        figures = training.step(torch.Generator().manual_seed(number), number, 1e-3)
        assert "commitment" not in figures and not training.quantizing
    untouched = [book.table.clone() for book in training._codebooks()]
    figures = training.step(torch.Generator().manual_seed(3), 3, 1e-3)
    assert training.quantizing and figures["commitment"] >= 0
    assert all(bool(book.ready) for book in training._codebooks())
    assert all(f"perplexity_{k}" in figures and f"revived_{k}" in figures for k in range(3))
    assert not any(torch.equal(a, book.table) for a, book in zip(untouched, training._codebooks(), strict=True))


def test_a_step_that_is_not_finite_changes_no_weight(make_training, monkeypatch: pytest.MonkeyPatch):
    training = make_training()
    training.step(torch.Generator().manual_seed(0), 0, 1e-3)
    before = copy.deepcopy([*training.nets.parameters()])
    batch = training.batch

    def poisoned(generator: torch.Generator) -> torch.Tensor:
        signal = batch(generator)
        signal[0, 100] = torch.nan
        return signal

    monkeypatch.setattr(training, "batch", poisoned)
    for number in (1, 5):
        training.step(torch.Generator().manual_seed(number), number, 1e-3)
    assert all(torch.equal(a, b) for a, b in zip(before, training.nets.parameters(), strict=True))
    assert all(bool(torch.isfinite(value).all()) for value in training.averaged.values())
    assert all(bool(torch.isfinite(book.table).all()) for book in training._codebooks())


def test_gradients_reach_every_weight(make_training):
    training = make_training(continuous_steps=0)
    before = {name: value.detach().clone() for name, value in training.nets.named_parameters()}
    training.step(torch.Generator().manual_seed(0), 0, 1e-2)
    unmoved = [name for name, value in training.nets.named_parameters() if torch.equal(value, before[name])]
    assert not unmoved


def test_averages_follow_the_weights_slowly(make_training):
    training = make_training()
    start = {name: value.clone() for name, value in training.averaged.items()}
    for number in range(6):
        training.step(torch.Generator().manual_seed(number), number, 1e-2)
    moved = dict(training.nets.named_parameters())
    for name, average in training.averaged.items():
        assert float((average - start[name]).norm()) < float((moved[name].detach() - start[name]).norm())
        assert not average.requires_grad


def test_the_average_is_what_is_exported(make_training):
    training = make_training(continuous_steps=1)
    for number in range(3):
        training.step(torch.Generator().manual_seed(number), number, 1e-3)
    spec = TokenizerSpec("tiny", "compression", 4_000, 80, (CodebookSpec(16),) * 3)
    sizes = {"latent_dim": 8, "encoder_dim": 24, "encoder_blocks": 1, "decoder_dim": 24, "decoder_blocks": 1}
    shape = SpectralCodecShape(hop_length=80, n_fft=160, **sizes)
    codec = SpectralCodec(spec, shape, "rvq", {"codebook_size": 16, "num_codebooks": 3})
    state = training.averaged_state()
    codec.load_state_dict(state)
    assert state.keys() == training.nets.state_dict().keys()
    assert torch.equal(codec.encoder.out.weight, training.averaged["encoder.out.weight"])
    assert torch.equal(codec.quantizer.codebook(2), training._codebooks()[2].table)


def test_networks_keep_lengths(make_training):
    nets = make_training().nets
    latents = nets.encode(torch.zeros(2, 20 * 80))
    assert latents.shape == (2, 8, 20)
    assert nets.decode(latents).shape == (2, 1600)


def test_weights_of_the_losses_change_at_their_steps():
    late, later = SpectralLossWeights(mel=2.0), SpectralLossWeights(mel=3.0)
    options = ReconstructionOptions(weights=((0, SpectralLossWeights()), (10, late), (20, later)))
    assert [options.weights_at(step).mel for step in (0, 9, 10, 19, 20, 99)] == [0.4, 0.4, 2.0, 2.0, 3.0, 3.0]
