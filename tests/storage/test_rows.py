"""Rows: what makes one valid, what fits a dataset, and the way to tokens and back."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings

from tests.storage.random_rows import datasets, example
from tokaudio.errors import TokensError
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.storage._facts import row_crc
from tokaudio.storage.dataset_info import DatasetInfo, ExtraInfo
from tokaudio.storage.rows import TokenRow, checked, checked_rows
from tokaudio.tokens import Tokens

SPEC = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8), CodebookSpec(8, 2)))
CODES = np.array([[1, 2, 3], [4, 4, 5]], np.uint16)


def row(**changes):
    return dataclasses.replace(TokenRow("a", CODES, 960, 16_000), **changes)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(datasets())
def test_rows_become_tokens_and_rows_again(dataset):
    info, rows = dataset
    for one in rows:
        tokens = one.to_tokens(info)
        assert (tokens.spec, tokens.fingerprint, dict(tokens.provenance)) == (
            info.spec,
            info.fingerprint,
            dict(info.provenance),
        )
        again = TokenRow.from_tokens(tokens, one.key, source=one.source, start=one.start, columns=one.columns)
        assert again == one


def test_a_row_of_tokens():
    tokens = Tokens(torch.tensor(CODES.astype(int))[None], torch.tensor([3]), torch.tensor([900]), SPEC)
    found = TokenRow.from_tokens(tokens, "a", end=2.0)
    assert found == row(num_samples=900, end=2.0)
    assert (found.num_frames, found.duration) == (3, 0.05625)
    with pytest.raises(TokensError, match="tokens\\[i\\] one by one"):
        TokenRow.from_tokens(Tokens.batch([tokens, tokens]), "a")


@pytest.mark.parametrize(
    "changes",
    [
        {"key": ""},
        {"key": "a" * 1025},
        {"key": "\udc80"},
        {"key": 3},
        {"source": "\udc80"},
        {"codes": CODES[0]},
        {"codes": CODES.astype(np.int64)},
        {"num_samples": -1},
        {"sample_rate": 0},
        {"start": math.nan},
        {"end": math.inf},
        {"depth": np.zeros(2, np.uint16)},
        {"depth": np.zeros(3, np.int64)},
    ],
)
def test_what_is_no_row(changes):
    with pytest.raises(TokensError):
        row(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codes": CODES[:1]}, "encode with one tokenizer"),
        ({"codes": CODES.astype(np.int32)}, "encode with one tokenizer"),
        ({"codes": CODES + np.uint16(5)}, "has code 8 in codebook 0"),
        ({"codes": np.array([[1, 2, 3], [4, 5, 5]], np.uint16)}, "codebook 1 within its stride of 2"),
        ({"sample_rate": 8_000}, "at 8000 Hz"),
        ({"depth": np.zeros(3, np.uint16)}, "whether there is a depth"),
        ({"extras": {"item_x": np.zeros(3)}}, "extras"),
        ({"columns": {"text": "a"}}, "column 'text' that the dataset lacks"),
    ],
)
def test_what_does_not_fit_a_dataset(changes, message):
    with pytest.raises(TokensError, match=message):
        checked(row(**changes), DatasetInfo(SPEC))


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("string", ["", "ü", None], [1, True, "\udc80"]),
        ("integer", [0, -(2**63), None], [True, 1.0, "1", 2**63]),
        ("number", [0.5, None], ["1", False, math.nan, math.inf]),
        ("boolean", [True, None], [0, "true"]),
    ],
)
def test_types_of_columns(kind, good, bad):
    info = DatasetInfo(SPEC, columns={"c": kind})
    for value in good:
        assert checked(row(columns={"c": value}), info).columns == {"c": value}
    for value in bad:
        with pytest.raises(TokensError):
            checked(row(columns={"c": value}), info)
    assert checked(row(), info).columns == {"c": None}


def test_depth_and_extras_must_be_as_declared():
    info = DatasetInfo(SPEC, depth=True, extras={"frame_x": ExtraInfo("float32", (2,))})
    depth, extra = np.full(3, 2, np.uint16), np.zeros((3, 2), np.float32)
    assert checked(row(depth=depth, extras={"frame_x": extra}), info).depth is depth
    for wrong in (extra[:2], extra.astype(np.float64), extra[:, :1]):
        with pytest.raises(TokensError, match="the extra frame_x"):
            checked(row(depth=depth, extras={"frame_x": wrong}), info)
    for wrong in (depth + np.uint16(1), depth - np.uint16(1)):
        with pytest.raises(TokensError, match="beyond its depth"):
            checked(row(depth=wrong, extras={"frame_x": extra}), info)


def test_whole_numbers_become_floats_where_times_and_numbers_stand():
    found = checked(row(start=1, columns={"c": 2}), DatasetInfo(SPEC, columns={"c": "number"}))
    assert (type(found.start), type(found.columns["c"])) == (float, float)


def test_equality_and_checksum_see_everything():
    info, rows = example()
    (one, *_) = checked_rows(rows[:1], info)
    codes, speaker = one.codes.copy(), one.extras["item_speaker"]
    codes[1, 1] ^= 1
    changes = {
        "key": "b",
        "codes": codes,
        "num_samples": 1,
        "sample_rate": 8_000,
        "source": "b",
        "start": 0.5,
        "end": None,
        "columns": one.columns | {"text": "b"},
        "depth": None,
        "extras": {**one.extras, "item_speaker": speaker.astype(np.float64)},
    }
    assert set(changes) == {field.name for field in dataclasses.fields(TokenRow)}
    for name, value in changes.items():
        other = dataclasses.replace(one, **{name: value})
        assert other != one
        assert row_crc(other) != row_crc(one)
    assert dataclasses.replace(one, codes=one.codes.copy()) == one
    assert one != "a"
