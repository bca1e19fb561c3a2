"""The laws of `Tokens`: validation, slicing, joining, comparison, printing and pickling."""

import copy
import dataclasses
import io
import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.errors import TokensError
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokens import Tokens

MINI = TokenizerSpec("mini-codec", "compression", 16_000, 320, (CodebookSpec(1024),) * 8)
TOY = TokenizerSpec("toy", "compression", 100, 10, (CodebookSpec(8), CodebookSpec(300)))
SLOW = TokenizerSpec("slow", "compression", 100, 10, (CodebookSpec(8, 4), CodebookSpec(8, 2), CodebookSpec(8)))


def make(lengths=(5, 3), spec=TOY, *, tail=0, frames=None, depth=False, seed=0, **fields):
    """Build random tokens, the last frame of each item `tail` samples short."""
    generator = torch.Generator().manual_seed(seed)
    batch, frames = len(lengths), frames or max(lengths, default=0)
    rows = [
        torch.randint(book.size, (batch, -(-frames // book.stride)), generator=generator)
        .repeat_interleave(book.stride, dim=1)[:, :frames]
        for book in spec.codebooks
    ]  # fmt: skip
    lengths = torch.tensor(lengths, dtype=torch.int64)
    samples = (lengths * spec.hop_length - tail).clamp(min=0)
    if depth:
        fields["depth"] = torch.randint(spec.num_codebooks + 1, (batch, frames), generator=generator)
    return Tokens(torch.stack(rows, dim=1), lengths, samples, spec, fields.pop("fingerprint", "0f"), **fields)


def with_extras(tokens, seed=0):
    generator = torch.Generator().manual_seed(seed)
    batch, _, frames = tokens.codes.shape
    extras = {
        "item_speaker": torch.randn(batch, 3, generator=generator),
        "frame_pitch": torch.randn(batch, frames, 2, generator=generator),
    }
    return dataclasses.replace(tokens, extras=extras)


@st.composite
def tokens_(draw, spec=None, min_items=0):
    spec = spec or draw(st.sampled_from([TOY, SLOW]))
    lengths = draw(st.lists(st.integers(0, 9), min_size=min_items, max_size=3))
    depth = spec is TOY and draw(st.booleans())
    frames = max(lengths, default=0) + draw(st.integers(0, 2))
    tokens = make(
        lengths, spec, tail=draw(st.integers(0, 9)), frames=frames, depth=depth, seed=draw(st.integers(0, 99))
    )
    return with_extras(tokens) if draw(st.booleans()) else tokens


def test_repr_is_for_people():
    tokens = make([152], MINI)
    assert repr(tokens) == "Tokens(mini-codec, 8 codebooks x 152 frames, 3.04 s, 4.0 kbps)"
    batch = Tokens.batch([tokens, make([149], MINI), make([75], MINI)])
    assert repr(batch) == "Tokens(mini-codec, batch of 3, 8 codebooks x up to 152 frames, 7.52 s, 4.0 kbps)"
    assert repr(make([1], MINI).select_codebooks(1)) == "Tokens(mini-codec, 1 codebook x 1 frame, 0.02 s, 0.50 kbps)"
    assert repr(tokens[0:0]) == "Tokens(mini-codec, batch of 0, 8 codebooks x up to 0 frames, 0.00 s, 4.0 kbps)"


def test_equality_is_exact_and_there_is_no_hash():
    tokens = with_extras(make(depth=True))
    assert tokens == copy.deepcopy(tokens) and tokens != "tokens"
    extras = {**tokens.extras, "item_speaker": tokens.extras["item_speaker"].double()}
    for changes in (
        {"codes": (tokens.codes + tokens.code_mask) % 8},
        {"lengths": tokens.lengths - 1},
        {"num_samples": tokens.num_samples - 1},
        {"spec": dataclasses.replace(TOY, licence="MIT")},
        {"fingerprint": "10"},
        {"depth": None},
        {"extras": {}},
        {"extras": extras},
        {"extras": {**tokens.extras, "item_speaker": tokens.extras["item_speaker"] + 1}},
    ):
        assert dataclasses.replace(tokens, **changes) != tokens
    assert dataclasses.replace(tokens, provenance={"a": "b"}) == tokens
    with pytest.raises(TypeError, match="unhashable"):
        hash(tokens)


@given(tokens=tokens_())
def test_pickling_and_copying_are_exact(tokens):
    tokens = dataclasses.replace(tokens, provenance={"resampler": "soxr"})
    for other in (pickle.loads(pickle.dumps(tokens)), copy.copy(tokens), copy.deepcopy(tokens)):
        assert other == tokens and other.provenance == tokens.provenance and type(other) is Tokens


def test_pickles_are_small_and_hold_no_more_than_the_slice():
    tokens = make([5000], MINI)
    assert len(pickle.dumps(tokens)) < 8 * 5000 * 2 + 1500
    small = dataclasses.replace(MINI, codebooks=(CodebookSpec(256),) * 8)
    assert len(pickle.dumps(make([5000], small))) < 8 * 5000 + 1500
    extras = {"frame_x": torch.zeros(1, 5000, 9, dtype=torch.bfloat16), "frame_y": torch.zeros(1, 5000, 9)}
    part = dataclasses.replace(tokens, extras=extras).frames(10, 12)
    assert len(pickle.dumps(part)) < 3500 and pickle.loads(pickle.dumps(part)) == part
    batch = dataclasses.replace(make([1] * 50), extras={"item_x": torch.zeros(50, 1000, dtype=torch.bfloat16)})
    assert len(pickle.dumps(batch[3])) < 2 * 1000 + 1500 and pickle.loads(pickle.dumps(batch[3])) == batch[3]


def test_data_loader_workers_can_send_tokens():
    loader = torch.utils.data.DataLoader([make([n]) for n in (3, 1, 2)], 3, collate_fn=Tokens.batch, num_workers=1)
    assert next(iter(loader)) == Tokens.batch([make([n]) for n in (3, 1, 2)])


def test_items_are_trimmed_and_batching_restores_them():
    tokens = with_extras(make([5, 3, 0], depth=True))
    items = list(tokens)
    assert [item.codes.shape[2] for item in items] == [5, 3, 0] and len(tokens) == 3
    assert items[1] == tokens[1] == tokens[-2] == tokens[1:2] == tokens[np.int64(1)]
    assert tokens[1].extras["frame_pitch"].shape == (1, 3, 2)
    assert Tokens.batch(items) == tokens == Tokens.batch([tokens[:2], tokens[2]])
    assert [item.codes.shape[2] for item in tokens[::2]] == [5, 0]
    for index in (3, -4):
        with pytest.raises(IndexError):
            tokens[index]
    with pytest.raises(TokensError, match="step"):
        tokens[::-1]
    with pytest.raises(TypeError):
        tokens["a"]


@settings(deadline=None)
@given(tokens=tokens_(min_items=1))
def test_batching_items_is_trimming(tokens):
    assert Tokens.batch(list(tokens)) == tokens.trim()
    assert tokens.trim().codes.shape[2] == int(tokens.lengths.max())


@settings(deadline=None)
@given(tokens=tokens_(min_items=1), data=st.data())
def test_cut_pieces_join_to_the_whole(tokens, data):
    period = tokens.spec.stride_period
    item = tokens[data.draw(st.integers(0, len(tokens) - 1))]
    total = item.codes.shape[2]
    cuts = sorted(data.draw(st.lists(st.integers(0, total // period).map(lambda c: c * period), max_size=3)))
    edges = [0, *cuts, total]
    pieces = [item.frames(a, b) for a, b in itertools.pairwise(edges)]
    assert sum(int(piece.num_samples) for piece in pieces) == int(item.num_samples)
    while len(pieces) > 1 and pieces[-1].codes.shape[2] == 0:
        pieces.pop()
    assert Tokens.concatenate(pieces) == item


@settings(deadline=None)
@given(tokens=tokens_(TOY), start=st.integers(0, 12), extent=st.integers(0, 12))
def test_frames_of_a_batch_are_frames_of_its_items(tokens, start, extent):
    cut = tokens.frames(start, start + extent)
    assert list(cut) == [item.frames(start, start + extent) for item in tokens]
    assert torch.equal(cut.codes, tokens.codes[:, :, start : start + extent])
    assert bool((cut.num_samples <= cut.lengths * 10).all()) and bool((cut.num_samples[cut.lengths == 0] == 0).all())


def test_frames_keep_the_samples_of_the_last_frame():
    tokens = make([5, 3], tail=7)
    assert tokens.num_samples.tolist() == [43, 23]
    assert tokens.frames(2).num_samples.tolist() == [23, 3]
    assert tokens.frames(2, 3).num_samples.tolist() == [10, 3]
    assert tokens.frames(0, 2).num_samples.tolist() == [20, 20]
    assert tokens.frames(4).num_samples.tolist() == [3, 0]
    assert tokens.frames(0) == tokens and tokens.frames(9).codes.shape == (2, 2, 0)


def test_frames_of_families_with_other_frame_laws():
    # without padding, HuBERT makes fewer frames than ceil(S / hop); other families make more
    fewer = dataclasses.replace(make([4]), num_samples=torch.tensor([57]))
    assert [int(fewer.frames(a, b).num_samples) for a, b in [(0, 2), (2, 4), (3, None), (4, None)]] == [20, 37, 27, 0]
    more = dataclasses.replace(make([4]), num_samples=torch.tensor([25]))
    assert [int(more.frames(a, b).num_samples) for a, b in [(0, 2), (2, 4), (3, 4)]] == [20, 5, 0]
    none = dataclasses.replace(make([0]), num_samples=torch.tensor([5]))
    assert none.frames(0) == none


def test_positions_that_make_no_sense_are_refused():
    tokens = make([8], SLOW)
    for start, stop in [(-1, 3), (3, 2), (0, -1)]:
        with pytest.raises(TokensError, match="count both from 0"):
            tokens.frames(start, stop)
    for start, stop in [(-0.1, 3), (3, 2), (math.nan, 2), (math.inf, None), (0, math.nan)]:
        with pytest.raises(TokensError, match="count both from 0"):
            tokens.seconds(start, stop)
    with pytest.raises(TokensError, match="cut at multiples of 4"):
        tokens.frames(2)


def test_seconds_choose_every_frame_they_touch():
    tokens = make([100], MINI)
    for start, stop, first, last in [
        (0, 0.02, 0, 1), (0.58, 0.6, 29, 30), (0.019, 0.021, 0, 2), (1.99, None, 99, 100), (0.5, math.inf, 25, 100),
        (0.1, 0.1, 5, 5), (7, 9, 100, 100), (0.03, 0.03, 1, 2),
    ]:  # fmt: skip
        assert tokens.seconds(start, stop) == tokens.frames(first, last)
    for k, time in enumerate(tokens.frame_times().tolist()):
        assert tokens.seconds(time, time + 0.02) == tokens.frames(k, k + 1)
    assert make([8], SLOW).seconds(0.55, 0.65) == make([8], SLOW).frames(4, 7)


def test_times_and_durations():
    spec = dataclasses.replace(TOY, sample_rate=44_100, hop_length=512)
    tokens = make([3, 1], spec, tail=12)
    assert tokens.frame_times().tolist() == [0.0, 512 / 44_100, 1024 / 44_100]
    assert tokens.frame_times().dtype == tokens.durations.dtype == torch.float64
    assert tokens.durations.tolist() == [1524 / 44_100, 500 / 44_100] and tokens.duration == 2024 / 44_100


def test_counts_and_bitrate_respect_stride_and_depth():
    assert make([5, 3]).num_tokens.tolist() == [10, 6]
    assert make([5, 4, 0], SLOW).num_tokens.tolist() == [2 + 3 + 5, 1 + 2 + 4, 0]
    assert make([5], SLOW).bitrate_bps == SLOW.bitrate_bps
    depth = dataclasses.replace(make([4, 2]), depth=torch.tensor([[2, 1, 0, 1], [2, 2, 0, 0]]))
    assert depth.num_tokens.tolist() == [4, 4]
    assert depth.depth_bits == pytest.approx(5 * math.log2(3)), "four numbers of the first item, one of the second"
    assert depth.bitrate_bps == pytest.approx((5 * 3 + 3 * math.log2(300) + depth.depth_bits) / 6 * 10)
    full = dataclasses.replace(make([8], SLOW), depth=torch.full((1, 8), 3))
    one_number = math.log2(4) / 8 * 10
    assert full.bitrate_bps == pytest.approx(SLOW.bitrate_bps + one_number)
    assert full.bitrate_kbps == full.bitrate_bps / 1000 and full.select_codebooks(2).depth_bits == math.log2(3)
    assert depth[0:0].bitrate_bps == TOY.bitrate_bps


def test_selecting_codebooks_clamps_the_depth():
    tokens = dataclasses.replace(make([4], MINI), depth=torch.tensor([[8, 3, 0, 1]]))
    assert tokens.select_codebooks(2).depth.tolist() == [[2, 2, 0, 1]]
    chosen = tokens.select_codebooks([1, 2, 7])
    assert chosen.depth.tolist() == [[3, 2, 0, 0]] and chosen.spec.codebook_indices == (1, 2, 7)
    assert torch.equal(chosen.codes, tokens.codes[:, [1, 2, 7]])
    assert tokens.select_codebooks(8) == tokens and tokens.select_codebooks(5).select_codebooks(
        2
    ) == tokens.select_codebooks(2)
    with pytest.raises(TokensError, match="9 codebooks asked of mini-codec"):
        tokens.select_codebooks(9)


@given(tokens=tokens_(SLOW))
def test_ragged_form_is_invertible(tokens):
    rows = tokens.ragged()
    frames = max(tokens.lengths.tolist(), default=0)
    assert [row.shape[1] for row in rows] == [-(-frames // stride) for stride in (4, 2, 1)]
    again = Tokens.from_ragged(
        rows, tokens.lengths, tokens.num_samples, SLOW, fingerprint="0f", extras=tokens.trim().extras
    )
    assert again == tokens.trim()


def test_ragged_rows_of_a_wrong_length_are_refused():
    rows = make([5], SLOW).ragged()
    for wrong in ([rows[0][:, :1], *rows[1:]], rows[:2], [rows[0].float(), *rows[1:]]):
        with pytest.raises(TokensError, match="code tensor"):
            Tokens.from_ragged(wrong, torch.tensor([5]), torch.tensor([50]), SLOW)


def test_from_codes_takes_one_item_or_several():
    codes = make([4]).codes
    assert (
        Tokens.from_codes(codes[0], TOY, fingerprint="0f")
        == Tokens.from_codes(codes, TOY, fingerprint="0f")
        == make([4])
    )
    with pytest.raises(TokensError, match="codes has shape"):
        Tokens.from_codes(codes[0, 0], TOY)


def test_numpy_shares_memory():
    tokens = make()
    assert tokens.numpy().dtype == np.int64 and np.shares_memory(tokens.numpy(), tokens.codes.numpy())


def test_moving_moves_every_tensor(monkeypatch):
    moved = []
    monkeypatch.setattr(
        torch.Tensor, "to", lambda self, target, to=torch.Tensor.to: moved.append(target) or to(self, target)
    )
    with_extras(make(depth=True)).to(torch.device("cpu"))
    assert sum(isinstance(target, torch.device) for target in moved) == 6


def test_concatenate_refuses_parts_that_end_within_a_frame():
    with pytest.raises(TokensError, match=r"part 0 ends within a frame.*whole frames of 10 samples.*encode the joined"):
        Tokens.concatenate([make([5], tail=1), make([5])])
    with pytest.raises(TokensError, match="part 1 ends within a frame"):
        Tokens.concatenate([make([5, 5]), make([5, 3]), make([5, 5])])
    with pytest.raises(TokensError, match="a multiple of 4"):
        Tokens.concatenate([make([6], SLOW), make([5], SLOW)])
    joined = Tokens.concatenate([make([4, 4]), make([5, 3], tail=2)])
    assert joined.lengths.tolist() == [9, 7] and joined.num_samples.tolist() == [88, 68]


@pytest.mark.parametrize("join", [Tokens.concatenate, Tokens.batch])
def test_joining_needs_like_parts(join):
    for parts, word in [
        ([], "nothing to"),
        ([make([5]), make([5], dataclasses.replace(TOY, name="b"))], "part 1 was made by b"),
        ([make([5]), make([5], fingerprint="1")], "part 1"),
        ([make([5]), with_extras(make([5]))], "other extras"),
    ]:
        with pytest.raises(TokensError, match=word):
            join(parts)


def test_concatenate_needs_the_same_items():
    with pytest.raises(TokensError, match="part 1 has 2 items and part 0 has 1"):
        Tokens.concatenate([make([5]), make([5, 5])])
    with pytest.raises(TokensError, match="item_speaker differs between the parts"):
        Tokens.concatenate([with_extras(make([5]), seed=0), with_extras(make([5]), seed=1)])


def test_joined_parts_keep_the_provenance_and_depth_they_share():
    parts = [make([2], provenance={"resampler": "soxr", "source": "a"}), make([2], provenance={"resampler": "soxr"})]
    for join in (Tokens.concatenate, Tokens.batch):
        assert dict(join(parts).provenance) == {"resampler": "soxr"}
    mixed = [make([2]), dataclasses.replace(make([1]), depth=torch.tensor([[1]]))]
    assert Tokens.concatenate(mixed).depth.tolist() == [[2, 2, 1]]
    assert Tokens.batch(mixed).depth.tolist() == [[2, 2], [1, 0]]


def test_extras_of_other_names_follow_items_but_not_time():
    tokens = dataclasses.replace(make([5, 3]), extras={"scale": torch.tensor([[1.0], [2.0]])})
    assert tokens[1].extras["scale"].tolist() == [[2.0]] and Tokens.batch(list(tokens)) == tokens
    for call in (lambda: tokens.frames(0, 2), lambda: tokens.seconds(0), lambda: Tokens.concatenate([tokens, tokens])):
        with pytest.raises(TokensError, match="the extra scale cannot be cut or joined in time; name it frame_scale"):
            call()
    other = dataclasses.replace(make([5]), extras={"scale": torch.ones(1, 2)})
    with pytest.raises(TokensError, match="the extra scale differs in shape or dtype"):
        Tokens.batch([tokens, other])


def test_only_the_tokenizer_that_made_them_may_decode():
    tokens = make([3], MINI, fingerprint="abcdef0123456789")
    for good in (tokens, tokens.select_codebooks(3)):
        good.require_compatible(MINI, "abcdef0123456789")
        good.require_compatible(MINI)
    make([3], MINI, fingerprint="").require_compatible(MINI, "ff")
    with pytest.raises(TokensError) as caught:
        tokens.require_compatible(dataclasses.replace(MINI, name="other"), "ff")
    assert str(caught.value) == (
        "these tokens were made by mini-codec (weights abcdef012345), not by other; "
        "decode them with Tokenizer.from_pretrained('mini-codec')"
    )
    for changed, fingerprint, word in [
        (MINI, "ff", r"not by mini-codec \(weights ff\); decode them with the weights"),
        (dataclasses.replace(MINI, hop_length=160), "", "another version of mini-codec"),
        (dataclasses.replace(MINI, codebooks=(CodebookSpec(512),) * 8), "", "another version of mini-codec"),
        (MINI.select(4), "", "another version of mini-codec"),
    ]:
        with pytest.raises(TokensError, match=word):
            tokens.require_compatible(changed, fingerprint)
    with pytest.raises(TokensError, match="hold the codebooks 2, 5 of mini-codec"):
        tokens.select_codebooks([2, 5]).require_compatible(MINI)


def test_save_and_load(tmp_path):
    tokens = with_extras(make([5], depth=True))
    tokens.save(tmp_path / "a.npz")
    assert Tokens.load(tmp_path / "a.npz") == tokens
    with pytest.raises(TokensError, match="one by one"):
        make([5, 3]).save(tmp_path / "b.npz")


def test_tokens_can_be_saved_by_torch_too():
    buffer = io.BytesIO()
    torch.save(make(), buffer)
    buffer.seek(0)
    assert torch.load(buffer, weights_only=False) == make()
