"""Training checkpoints: every tree comes back as it was, and nothing in a file is run."""

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from tokaudio.errors import CheckpointError
from tokaudio.training.checkpoint import CHECKPOINT, read_checkpoint, write_checkpoint

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
KEYS = st.text() | st.integers()
TREES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(KEYS, inner),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, TREES))
def test_every_plain_tree_comes_back(tmp_path_factory: pytest.TempPathFactory, tree: dict):
    path = tmp_path_factory.mktemp("trees") / CHECKPOINT
    write_checkpoint(path, tree)
    found = read_checkpoint(path)
    assert found == tree and repr(found) == repr(tree), "kinds, order and signs of zeros too"


def test_tensors_keep_their_bits_kinds_and_shapes(tmp_path: Path):
    base = torch.arange(12.0).view(3, 4)
    tensors = {
        "odd": torch.tensor([math.nan, -0.0, math.inf]),
        "turned": base.T,
        "part": base[1:],
        "again": base,
        "empty": torch.zeros(0, 3),
        "one": torch.tensor(True),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "random": torch.Generator().manual_seed(3).get_state(),
    }
    write_checkpoint(tmp_path / CHECKPOINT, {"tensors": tensors, "list": [base, 1]})
    found = read_checkpoint(tmp_path / CHECKPOINT)
    for name, tensor in tensors.items():
        mine = found["tensors"][name]
        assert mine.dtype == tensor.dtype and mine.shape == tensor.shape
        assert torch.equal(mine.nan_to_num(7.0), tensor.nan_to_num(7.0))
    assert torch.equal(found["list"][0], base) and found["list"][1] == 1


def test_an_optimizer_is_restored_with_its_numbered_states(tmp_path: Path):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight], lr=0.1, betas=(0.8, 0.9))
    weight.grad = torch.tensor([1.0, -2.0, 0.5])
    optimizer.step()
    write_checkpoint(tmp_path / CHECKPOINT, {"optimizer": optimizer.state_dict()})
    other = torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))])
    other.load_state_dict(read_checkpoint(tmp_path / CHECKPOINT)["optimizer"])
    state, wanted = other.state_dict(), optimizer.state_dict()
    assert state["param_groups"] == wanted["param_groups"]
    assert all(torch.equal(state["state"][0][name], value) for name, value in wanted["state"][0].items())


@pytest.mark.parametrize("wrong", [{"a": {1, 2}}, {"a": Path("x")}, {(1, 2): 3}, {True: 1}, {"a": [print]}])
def test_what_a_file_cannot_hold_is_refused_before_anything_is_written(tmp_path: Path, wrong: dict):
    with pytest.raises(TypeError, match="a checkpoint cannot hold"):
        write_checkpoint(tmp_path / CHECKPOINT, wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "plan",
    [None, "{", "3", '["plain", 3]', '["dict", [["a", ["tensor", "9"]]]]', '["dict", [["a", ["code", "x"]]]]'],
)
def test_another_safetensors_file_is_refused_by_name(tmp_path: Path, plan: str | None):
    metadata = None if plan is None else {"tree": plan}
    save_file({"0": torch.zeros(1)}, tmp_path / CHECKPOINT, metadata=metadata)
    with pytest.raises(CheckpointError, match=r"safetensors: is no training checkpoint.*; delete it to start again"):
        read_checkpoint(tmp_path / CHECKPOINT)


@pytest.mark.parametrize("content", [b"", b"\x80\x04}q\x00.", json.dumps({"done": 1}).encode()])
def test_a_pickle_or_a_cut_file_is_refused_by_name(tmp_path: Path, content: bytes):
    (tmp_path / CHECKPOINT).write_bytes(content)
    with pytest.raises(CheckpointError, match="safetensors: cannot be read"):
        read_checkpoint(tmp_path / CHECKPOINT)
