import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.near import assert_near
from tokaudio import Tokenizer, Tokens
from tokaudio.errors import TokensError
from tokaudio.tokenizers.variable_depth import allocate_depth, cheapest_depths, sound_errors, vector_errors


@pytest.fixture(scope="module")
def codec() -> Tokenizer:
    return Tokenizer.from_pretrained("mini-codec")


def sound(seconds: float = 1.3) -> torch.Tensor:
    """Two bursts of noise with a pause between them."""
    noise = torch.randn(round(seconds * 16_000), generator=torch.Generator().manual_seed(0)) * 0.1
    noise[len(noise) // 3 : 2 * len(noise) // 3] *= 1e-3
    return noise


@pytest.fixture(scope="module")
def tokens(codec: Tokenizer) -> Tokens:
    return codec.encode(sound())


@given(
    errors=st.lists(st.lists(st.floats(0, 10), min_size=3, max_size=3), min_size=1, max_size=5),
    budget=st.floats(1, 3),
    hold=st.integers(1, 3),
)
def test_no_allocation_of_the_same_cost_or_less_is_better(errors: list[list[float]], budget: float, hold: int):
    table = torch.tensor(errors, dtype=torch.float64).T[None]
    frames, costs = len(errors), torch.tensor([1.0, 2.0, 3.0])
    depth = cheapest_depths(table, costs, torch.ones(1, frames, dtype=torch.bool), budget=budget, hold=hold)
    chosen = depth[0].tolist()
    assert sum(chosen) <= budget * frames + 1e-6
    assert all(len(set(chosen[at : at + hold])) == 1 for at in range(0, frames, hold))
    if hold > 1:
        return
    spent = sum(errors[t][d - 1] for t, d in enumerate(chosen))
    for other in itertools.product((1, 2, 3), repeat=frames):
        if sum(other) <= sum(chosen):
            assert spent <= sum(errors[t][d - 1] for t, d in enumerate(other)) + 1e-6


def test_frames_that_are_not_there_cost_nothing():
    mask = torch.tensor([[True, True, False]])
    depth = cheapest_depths(
        torch.tensor([[[1.0, 1.0, 9.0], [0.0, 0.0, 0.0]]]), torch.tensor([1.0, 2.0]), mask, budget=2
    )
    assert depth.tolist() == [[2, 2, 0]]
    assert cheapest_depths(torch.ones(1, 2, 3), torch.tensor([1.0, 2.0]), mask, budget=0.5) is None


@pytest.mark.parametrize("judge", ["sound", "vectors"])
def test_the_rate_is_kept_and_nearly_used(codec: Tokenizer, tokens: Tokens, judge: str):
    for kbps in (1.0, 2.5):
        few = allocate_depth(codec, tokens, bitrate_kbps=kbps, judge=judge)
        assert 0.9 * kbps < few.bitrate_kbps <= kbps
    few = allocate_depth(codec, tokens, mean_codebooks=3, judge=judge)
    assert 2.8 < float(few.depth.double().mean()) <= 3
    assert not few.codes.masked_fill(few.code_mask, 0).any(), "codes beyond the depth are zero"


def test_errors_of_your_own_decide(codec: Tokenizer, tokens: Tokens):
    given = allocate_depth(codec, tokens, mean_codebooks=3, judge=vector_errors(codec, tokens))
    assert given == allocate_depth(codec, tokens, mean_codebooks=3, judge="vectors")


def test_important_frames_get_more(codec: Tokenizer, tokens: Tokens):
    importance = torch.ones(tokens.mask.shape)
    importance[:, : importance.shape[1] // 2] = 1e-6
    depth = allocate_depth(codec, tokens, mean_codebooks=4, importance=importance, judge="vectors", hold=1).depth[0]
    first, second = depth.double().chunk(2)
    assert float(first.mean()) < 2 < 6 < float(second.mean())


def test_sound_of_fewer_codes_is_that_of_their_vectors(codec: Tokenizer, tokens: Tokens, tmp_path):
    few = allocate_depth(codec, tokens, bitrate_kbps=1.5, audio=sound(), sample_rate=16_000)
    assert few.depth.unique().numel() > 1
    decoded = codec.decode(few)
    assert decoded.shape[-1] == len(sound())
    vectors = codec.embed(few)
    for d in few.depth.unique().tolist():
        frames = few.depth[0] == d
        assert_near(vectors[0][:, frames], codec.embed(tokens.select_codebooks(d))[0][:, frames])
    assert not torch.equal(decoded, codec.decode(Tokens.from_codes(few.codes, few.spec))[..., : decoded.shape[-1]])
    few.save(tmp_path / "few.npz")
    again = Tokens.load(tmp_path / "few.npz")
    assert again == few and torch.equal(codec.decode(again), decoded)
    assert torch.equal(torch.cat(list(codec.decode_blocks(few, block_frames=7)), dim=1), decoded[0])
    joined = Tokens.concatenate([few.frames(0, 20), few.frames(20)])
    assert joined == few
    whole = Tokens.batch([few, tokens[0].frames(0, 9)])
    assert torch.equal(codec.decode(whole)[0], decoded[0])


def test_full_depth_changes_nothing(codec: Tokenizer, tokens: Tokens):
    full = allocate_depth(codec, tokens, mean_codebooks=8, least=8)
    assert full.depth.unique().tolist() == [8]
    assert torch.equal(codec.decode(full), codec.decode(tokens))


def test_errors_shrink_with_depth(codec: Tokenizer, tokens: Tokens):
    for errors in (vector_errors(codec, tokens), sound_errors(codec, tokens)):
        means = errors.mean((0, 2))
        assert bool((means[1:] <= means[:-1]).all()) and float(means[-1]) == 0
    assert float(sound_errors(codec, tokens, sound()).mean((0, 2))[-1]) > 0


def test_what_makes_no_sense_is_refused(codec: Tokenizer, tokens: Tokens):
    for wrong in ({}, {"bitrate_kbps": 1.0, "mean_codebooks": 2}, {"mean_codebooks": 2, "hold": 0}):
        with pytest.raises(ValueError):
            allocate_depth(codec, tokens, **wrong)
    with pytest.raises(ValueError, match="shape"):
        allocate_depth(codec, tokens, mean_codebooks=2, judge=torch.ones(1, 2, 3))
    with pytest.raises(ValueError, match="judge"):
        allocate_depth(codec, tokens, mean_codebooks=2, judge="ear")
    with pytest.raises(ValueError, match="importance"):
        allocate_depth(codec, tokens, mean_codebooks=2, importance=torch.ones(3))
    with pytest.raises(TokensError, match="below"):
        allocate_depth(codec, tokens, bitrate_kbps=0.4, judge="vectors")
    with pytest.raises(TokensError, match="leave audio out"):
        allocate_depth(codec, tokens, mean_codebooks=2, audio=torch.zeros(9))
    few = allocate_depth(codec, tokens, mean_codebooks=2, judge="vectors")
    with pytest.raises(TokensError, match="have a depth"):
        allocate_depth(codec, few, mean_codebooks=2)


def test_a_tokenizer_without_variable_depth_refuses_it(codec: Tokenizer, tokens: Tokens, monkeypatch):
    few = allocate_depth(codec, tokens, mean_codebooks=2, judge="vectors")
    monkeypatch.setattr(type(codec), "takes_depth", False)
    for use in (codec.decode, codec.embed, lambda given: list(codec.decode_blocks(given))):
        with pytest.raises(TokensError, match="variable depth"):
            use(few)
    with pytest.raises(TokensError, match="variable depth"):
        allocate_depth(codec, tokens, mean_codebooks=2)
