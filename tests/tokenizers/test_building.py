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


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        # A neighbour in the layer tells.
        ("layers.1.bias", "blocks.1.conv.bias"),
        # Layers of the same pattern tell, as all of them agree.
        ("tables.1.table", "books.1.embed"),
        # The others' patterns differ, so nothing is said that may be wrong.
        ("mixed.2.table", "mixed.2.table"),
        ("alone", "alone"),
    ],
)
def test_names_that_a_file_lacks_are_told_from_those_it_has(missing: str, named: str) -> None:
    names = {
        "layers.0.weight": "blocks.0.conv.weight",
        "layers.0.bias": "blocks.0.conv.bias",
        "layers.1.weight": "blocks.1.conv.weight",
        "tables.0.table": "books.0.embed",
        "mixed.0.table": "up.0.embed",
        "mixed.1.table": "down.1.embed",
    }
    net = Held(sorted({*names, missing}))
    found = {theirs: torch.ones(1) for theirs in names.values()}
    with pytest.raises(CheckpointError, match=f"lacks tensor '{named}';"):
        build(lambda: net, found, "a.pth", names=names)


class Held(nn.Module):
    """A module that needs one number under each of some names."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.names = names

    def state_dict(self) -> dict[str, Tensor]:  # type: ignore[override]
        return {name: torch.zeros(1) for name in self.names}
