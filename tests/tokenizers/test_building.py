"""Networks made from tensors under the names of a file: what is said when they do not fit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tokaudio.errors import CheckpointError
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.building import build, require_frame

NAMES = {"weight": "net.w", "bias": "net.b"}


def tensors(**change: Tensor | None) -> dict[str, Tensor]:
    found = {"net.w": torch.ones(2, 3), "net.b": torch.zeros(2)} | {f"net.{name}": v for name, v in change.items()}
    return {name: value for name, value in found.items() if value is not None}


def made(**change: Tensor | None) -> nn.Linear:
    return build(lambda: nn.Linear(3, 2), tensors(**change), "a.pth", names=NAMES, ignore=["net.ema"])


def test_tensors_are_found_by_the_names_of_the_file() -> None:
    layer = made(ema=torch.ones(5))
    assert torch.equal(layer.weight, torch.ones(2, 3)) and not layer.bias.any()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"b": None}, "lacks tensor 'net.b'"),
        ({"c": torch.ones(1)}, "has the unknown tensor 'net.c'"),
        ({"w": torch.ones(3, 2)}, r"tensor 'net.w' has shape \[3, 2\], not \[2, 3\]"),
        ({"b": torch.full((2,), torch.inf)}, "tensor 'net.b' holds a NaN or an Inf"),
    ],
)
def test_messages_use_the_names_of_the_file(change: dict[str, Tensor | None], problem: str) -> None:
    with pytest.raises(CheckpointError, match=f"a.pth: {problem}"):
        made(**change)


def test_what_has_no_name_in_the_file_keeps_its_own() -> None:
    with pytest.raises(CheckpointError, match="lacks tensor 'bias'"):
        build(lambda: nn.Linear(3, 2), {"net.w": torch.ones(2, 3)}, "a.pth", names={"weight": "net.w"})


@pytest.mark.parametrize(("hop", "channels"), [(320, 2), (160, 1)])
def test_frames_of_the_spec_are_those_of_the_network(hop: int, channels: int) -> None:
    spec = TokenizerSpec("toy", "compression", 16_000, hop, (CodebookSpec(8),), channels=channels)
    with pytest.raises(CheckpointError, match=f"a frame is {hop} samples and {channels} channels in the spec, 320 and"):
        require_frame(spec, 320)
