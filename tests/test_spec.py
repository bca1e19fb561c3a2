"""Rates, bitrates and the strict dictionary form of tokenizer specs."""

import dataclasses
import json
import math
import pickle
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaudio.errors import TokensError
from tokaudio.spec import CodebookSpec, TokenizerSpec

MINI = TokenizerSpec("mini-codec", "compression", 16_000, 320, (CodebookSpec(1024),) * 8)
SNAC = TokenizerSpec(
    "snac", "compression", 24_000, 512, (CodebookSpec(4096, 4), CodebookSpec(4096, 2), CodebookSpec(4096, 1))
)

codebooks = st.builds(
    CodebookSpec, st.integers(1, 2**32), st.integers(1, 8), st.sampled_from(["semantic", "acoustic", "rôle"])
)
specs = st.builds(
    TokenizerSpec,
    st.text("abc-/é ", min_size=1),
    st.sampled_from(["semantic", "compression", "hybrid"]),
    st.integers(1, 200_000),
    st.integers(1, 4000),
    st.lists(codebooks, min_size=1, max_size=5).map(tuple),
    st.none() | st.integers(1, 200_000),
    st.integers(1, 6),
    st.booleans(),
    st.sampled_from(["exact", "state", "none"]),
)


def test_rates_of_a_plain_codec():
    assert MINI.num_codebooks == 8 and MINI.codebook_sizes == (1024,) * 8
    assert (MINI.frame_rate, MINI.token_rate) == (50, 400)
    assert (MINI.bitrate_bps, MINI.bitrate_kbps) == (4000.0, 4.0)
    assert MINI.output_sample_rate == 16_000
    assert dataclasses.replace(MINI, decode_sample_rate=48_000).output_sample_rate == 48_000


def test_rates_count_strides_and_stay_exact():
    frame = Fraction(24_000, 512)
    assert SNAC.frame_rate == frame and SNAC.stride_period == 4
    assert SNAC.token_rate == frame * Fraction(7, 4)
    assert SNAC.bitrate_bps == pytest.approx(float(frame) * 12 * 1.75, rel=1e-15)
    assert dataclasses.replace(MINI, sample_rate=44_100, hop_length=512).frame_rate == Fraction(11_025, 128)
    assert dataclasses.replace(MINI, codebooks=(CodebookSpec(500),)).bitrate_bps == pytest.approx(50 * math.log2(500))


@pytest.mark.parametrize(
    ("size", "dtype"),
    [(1, "uint8"), (256, "uint8"), (257, "uint16"), (65_536, "uint16"), (65_537, "uint32"), (2**32, "uint32")],
)
def test_code_dtype_is_the_smallest(size, dtype):
    assert dataclasses.replace(MINI, codebooks=(CodebookSpec(2), CodebookSpec(size))).code_dtype == dtype


@given(num_samples=st.integers(0, 10**15), hop=st.integers(1, 5000))
def test_frames_cover_the_samples_and_no_more(num_samples, hop):
    spec = dataclasses.replace(MINI, hop_length=hop)
    frames = spec.num_frames(num_samples)
    assert frames * hop >= num_samples > (frames - 1) * hop or num_samples == frames == 0
    low, high = spec.num_samples_bounds(frames)
    assert low <= num_samples <= high
    assert spec.num_frames(low) == spec.num_frames(high) == frames and spec.num_frames(high + 1) == frames + 1
    assert low == 0 or spec.num_frames(low - 1) == frames - 1


@given(num_samples=st.integers(1, 10**9), hop=st.integers(1, 500), late=st.integers(1, 999))
def test_samples_at_the_end_may_have_no_frame(num_samples, hop, late):
    late = min(late, 2 * hop - 1)
    spec = dataclasses.replace(MINI, hop_length=hop, least_padding=-late)
    frames = spec.num_frames(num_samples)
    assert frames == max(1, -(-(num_samples - late) // hop))
    low, high = spec.num_samples_bounds(frames)
    assert low <= num_samples <= high
    assert spec.num_frames(low) == spec.num_frames(high) == frames and spec.num_frames(high + 1) == frames + 1
    assert low == 1 or spec.num_frames(low - 1) == frames - 1
    with pytest.raises(TokensError, match="least_padding"):
        dataclasses.replace(spec, least_padding=-2 * hop)


@given(num_samples=st.integers(0, 10**12), decoded=st.sampled_from([None, 8_000, 24_000, 44_100]))
def test_decoded_sound_lasts_as_long_as_what_was_encoded(num_samples, decoded):
    spec = dataclasses.replace(MINI, sample_rate=16_000, decode_sample_rate=decoded)
    length, rate = spec.decoded_length(num_samples), decoded or 16_000
    assert length * 16_000 >= num_samples * rate > (length - 1) * 16_000 or num_samples == length == 0


@given(spec=specs)
def test_dictionary_form_survives_json_and_pickle(spec):
    assert TokenizerSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert hash(TokenizerSpec.from_dict(spec.to_dict())) == hash(spec)


@given(spec=specs, data=st.data())
def test_selecting_twice_is_selecting_once(spec, data):
    count = spec.num_codebooks
    first = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1)))
    second = sorted(data.draw(st.sets(st.integers(0, len(first) - 1), min_size=1)))
    assert spec.select(first).select(second) == spec.select([first[p] for p in second])
    assert spec.select(first).codebooks == tuple(spec.codebooks[p] for p in first)
    assert TokenizerSpec.from_dict(spec.select(first).to_dict()) == spec.select(first)


def test_selecting_remembers_which_codebooks_only_where_needed():
    assert MINI.select(8) == MINI
    assert MINI.select(2) == MINI.select([0, 1]) and MINI.select(2).codebook_indices == ()
    assert MINI.select([2, 5]).codebook_indices == (2, 5)
    assert MINI.select([2, 5]) != MINI.select(2)
    assert MINI.select([2, 5]).select(1).codebook_indices == (2,)


@pytest.mark.parametrize("codebooks", [0, 9, -1, True, [], [8], [-1], [1, 1], [2, 1], [0.5], ["0"], [True]])
def test_selecting_what_is_not_there_is_refused(codebooks):
    with pytest.raises(TokensError, match=r"asked of mini-codec.*; |.*give increasing indices"):
        MINI.select(codebooks)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""}, {"name": "a\nb"}, {"name": 5}, {"name": "\ud800"}, {"kind": "other"}, {"kind": []},
        {"sample_rate": 0}, {"sample_rate": 16_000.0}, {"sample_rate": True}, {"sample_rate": 10**12},
        {"hop_length": -1}, {"hop_length": "320"}, {"codebooks": ()}, {"codebooks": 5},
        {"codebooks": (1024,)}, {"codebooks": None},
        {"codebooks": (CodebookSpec(2),) * 5000}, {"decode_sample_rate": 0}, {"channels": 0}, {"causal": 1},
        {"chunking": None}, {"licence": None}, {"paper": "\x1b[2J"}, {"origin": b"x"}, {"codebook_indices": (0,)},
        {"codebook_indices": (7, 6, 5, 4, 3, 2, 1, 0)}, {"codebook_indices": ("a",) * 8}, {"codebook_indices": 3},
    ],
)  # fmt: skip
def test_bad_values_are_refused_in_one_line(changes):
    with pytest.raises(TokensError) as caught:
        dataclasses.replace(MINI, **changes)
    assert str(caught.value).isprintable() and "; " in str(caught.value)
    bad = MINI.to_dict() | changes
    with pytest.raises(TokensError):
        TokenizerSpec.from_dict(bad)


@pytest.mark.parametrize(
    "arguments", [(0,), (2**32 + 1,), (4.0,), (True,), (4, 0), (4, "2"), (4, 1, ""), (4, 1, None), (4, 1, "a\tb")]
)
def test_bad_codebooks_are_refused(arguments):
    with pytest.raises(TokensError, match="codebook"):
        CodebookSpec(*arguments)


def test_unknown_and_missing_fields_are_named():
    with pytest.raises(TokensError, match=r"unknown fields.*sampel_rate"):
        TokenizerSpec.from_dict(MINI.to_dict() | {"sampel_rate": 1})
    for field in ("name", "kind", "sample_rate", "hop_length", "codebooks"):
        with pytest.raises(TokensError, match=f"lacks the fields {field}"):
            TokenizerSpec.from_dict({key: value for key, value in MINI.to_dict().items() if key != field})
    with pytest.raises(TokensError, match=r"the codebook has unknown fields.*'v'"):
        CodebookSpec.from_dict({"size": 2, "v": 1})
    with pytest.raises(TokensError, match="the codebook lacks the fields size"):
        CodebookSpec.from_dict({})
    for data in (None, [], "spec", [("name", "a")]):
        with pytest.raises(TokensError, match="give a dictionary"):
            TokenizerSpec.from_dict(data)


def test_fields_with_a_default_may_be_left_out():
    short = {"name": "a", "kind": "semantic", "sample_rate": 8, "hop_length": 2, "codebooks": [{"size": 2}]}
    assert TokenizerSpec.from_dict(short) == TokenizerSpec("a", "semantic", 8, 2, (CodebookSpec(2),))


def test_negative_counts_are_refused():
    for call in (MINI.num_frames, MINI.num_samples_bounds):
        for value in (-1, 1.0, 2**63):
            with pytest.raises(TokensError, match="whole number"):
                call(value)


def test_specs_are_frozen_and_lists_of_codebooks_become_tuples():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MINI.hop_length = 1
    assert dataclasses.replace(MINI, codebooks=list(MINI.codebooks)) == MINI


def test_the_module_does_not_import_torch_or_numpy():
    code = "import sys, tokaudio.spec; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
