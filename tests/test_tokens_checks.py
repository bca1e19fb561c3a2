"""What the constructor of `Tokens` accepts, normalises and refuses."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from tokaudio.errors import TokensError
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokens import Tokens

TOY = TokenizerSpec("toy", "compression", 100, 10, (CodebookSpec(8), CodebookSpec(300)))
SLOW = TokenizerSpec("slow", "compression", 100, 10, (CodebookSpec(8, 4), CodebookSpec(8, 2), CodebookSpec(8)))


def make() -> Tokens:
    return Tokens.from_codes(torch.arange(20).reshape(2, 2, 5) % 8, TOY)


def test_construction_normalises_dtype_and_padding():
    tokens = Tokens(
        torch.tensor([[[1, 2, 99], [3, 4, -1]]], dtype=torch.int16),
        torch.tensor([2], dtype=torch.uint8),
        torch.tensor([17], dtype=torch.int32),
        TOY,
        extras={"frame_x": torch.ones(1, 3)},
        depth=torch.tensor([[2, 1, 7]]),
    )
    assert {t.dtype for t in (tokens.codes, tokens.lengths, tokens.num_samples, tokens.depth)} == {torch.int64}
    assert tokens.codes.tolist() == [[[1, 2, 0], [3, 0, 0]]]
    assert tokens.depth.tolist() == [[2, 1, 0]] and tokens.extras["frame_x"].tolist() == [[1, 1, 0]]
    assert tokens.mask.tolist() == [[True, True, False]]
    assert tokens.code_mask.tolist() == [[[True, True, False], [True, False, False]]]


def test_construction_leaves_the_callers_tensors_alone():
    codes, depth = torch.full((1, 2, 3), 5), torch.full((1, 3), 1)
    Tokens(codes, torch.tensor([2]), torch.tensor([20]), TOY, depth=depth)
    assert codes.eq(5).all() and depth.eq(1).all()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"codes": [[[0]]]}, "codes is a list"),
        ({"codes": np.zeros((2, 2, 5), int)}, "codes is a ndarray"),
        ({"codes": torch.zeros(2, 2, 5)}, "codes has dtype torch.float32"),
        ({"codes": torch.zeros(2, 2, 5, dtype=torch.bool)}, "codes has dtype torch.bool"),
        ({"codes": torch.zeros(2, 5, dtype=torch.int64)}, r"codes has shape \[2, 5\]"),
        (
            {"codes": torch.zeros(2, 3, 5, dtype=torch.int64)},
            r"codes has shape \[2, 3, 5\]; give shape \[any, 2, any\]",
        ),
        ({"codes": torch.full((2, 2, 5), 8)}, "code 8 in codebook 0 of toy, which has 8 codes"),
        ({"codes": torch.full((2, 2, 5), -1)}, "code -1 in codebook 0"),
        ({"codes": torch.tensor([[[0] * 5, [300] + [0] * 4]] * 2)}, "code 300 in codebook 1"),
        ({"lengths": torch.tensor([5, 6])}, "item 1 has a length of 6 frames"),
        ({"lengths": torch.tensor([-1, 5])}, "item 0 has a length of -1 frames"),
        ({"lengths": torch.tensor([5])}, "lengths has shape"),
        ({"lengths": torch.tensor([5.0, 3.0])}, "lengths has dtype"),
        ({"lengths": torch.zeros(2, dtype=torch.int64, device="meta")}, "lengths is on meta and codes on cpu"),
        ({"num_samples": torch.tensor([-1, 0])}, "item 0 has -1 samples"),
        ({"num_samples": torch.tensor([[1, 2]])}, "num_samples has shape"),
        ({"depth": torch.full((2, 5), 3)}, "a depth of 3 with 2 codebooks"),
        ({"depth": torch.full((2, 5), -1)}, "a depth of -1"),
        ({"depth": torch.zeros(2, 4, dtype=torch.int64)}, "depth has shape"),
        ({"spec": "toy"}, "spec is a str"),
        ({"fingerprint": None}, "fingerprint"),
        ({"fingerprint": "a\nb"}, "fingerprint"),
        ({"extras": {"x": torch.zeros(3)}}, "the extra x has shape"),
        ({"extras": {"x": torch.tensor(1.0)}}, "the extra x has shape"),
        ({"extras": {"x": torch.tensor([0.0, math.nan])}}, "NaN or an infinity"),
        ({"extras": {"x": [1, 2]}}, "the extra x is not a tensor"),
        ({"extras": {"x y": torch.zeros(2)}}, "an extra is named 'x y'"),
        ({"extras": {1: torch.zeros(2)}}, "extras is a dict without names"),
        ({"extras": {"frame_x": torch.zeros(2, 4)}}, r"give \[2, 5, ...\]"),
        ({"extras": {"frame_x": torch.zeros(2)}}, r"give \[2, 5, ...\]"),
        ({"provenance": {"a": 1}}, "provenance 'a' is 1"),
        ({"provenance": {"a": "b\x07"}}, "provenance 'a'"),
        ({"provenance": ["a"]}, "provenance is a list"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(changes, word):
    with pytest.raises(TokensError, match=word) as caught:
        dataclasses.replace(make(), **changes)
    assert str(caught.value).isprintable() and "; " in str(caught.value)


def test_slow_codes_must_be_repeated():
    codes = torch.tensor([[[1, 1, 1, 1, 5, 5], [2, 2, 7, 7, 3, 3], [0, 1, 2, 3, 4, 5]]])
    for k, t in [(0, 1), (0, 5), (1, 3)]:
        wrong = codes.clone()
        wrong[0, k, t] = (wrong[0, k, t] + 1) % 8
        with pytest.raises(TokensError, match=f"codebook {k} has stride"):
            Tokens(wrong, torch.tensor([6]), torch.tensor([60]), SLOW)
    for depth in ([3, 3, 1, 1, 3, 3], [3, 3, 0, 0, 3, 3], [0, 1, 1, 1, 3, 3]):
        accepted = depth[0] == 3 and depth[2] == 1
        arguments = (codes, torch.tensor([6]), torch.tensor([60]), SLOW, "", {}, torch.tensor([depth]))
        if accepted:
            Tokens(*arguments)
        else:
            with pytest.raises(TokensError, match="codebook 0 has stride 4"):
                Tokens(*arguments)


def test_depth_must_not_split_a_slow_code_even_if_it_is_0():
    arguments = (torch.zeros(1, 3, 4, dtype=torch.int64), torch.tensor([4]), torch.tensor([40]), SLOW, "", {})
    Tokens(*arguments, torch.tensor([[3, 3, 3, 3]]))
    with pytest.raises(TokensError, match="codebook 1 has stride 2"):
        Tokens(*arguments, torch.tensor([[2, 1, 3, 3]]))


def test_fields_cannot_be_set_and_mappings_cannot_be_changed():
    tokens = dataclasses.replace(make(), extras={"item_y": torch.zeros(2)})
    with pytest.raises(dataclasses.FrozenInstanceError):
        tokens.codes = tokens.codes
    with pytest.raises(TypeError):
        tokens.extras["x"] = torch.zeros(2)
    with pytest.raises(TypeError):
        tokens.provenance["x"] = "y"


def test_extras_are_detached():
    tokens = dataclasses.replace(make(), extras={"item_x": torch.ones(2, requires_grad=True)})
    assert not tokens.extras["item_x"].requires_grad
