"""The names of tensors in published SNAC files, and which of them no other family has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from tokaudio.errors import CheckpointError, one_line

# The noise blocks of the decoder. DAC's files have the same names but for these, for attention and for shapes.
_NOISE = re.compile(r"decoder\.model\.\d+\.block\.2\.linear\.weight")
_DEPTHWISE = "encoder.block.1.block.0.block.1.weight"
_ATTENTION = {
    "norm.weight": "norm.weight",
    "norm.bias": "norm.bias",
    "to_qkv.weight": "qkv.weight",
    "to_out.weight": "out.weight",
    "rel_pos.inv_freq": "frequencies",
}
_CONV = ("weight", "bias")
# Published name -> our name, and the axes of size 1 that only the published tensor has.
Pairs = dict[str, tuple[str, tuple[int, ...]]]


def looks_like_snac(names: Iterable[str]) -> bool:
    """Return whether names of tensors, weight norm folded, are of SNAC and of no other family.

    Example:
        >>> looks_like_snac(["decoder.model.2.block.2.linear.weight"]), looks_like_snac(["decoder.model.0.weight"])
        (True, False)
    """
    return any(_NOISE.fullmatch(name) for name in names)


def published_names(levels: int, *, codebooks: int, attention: bool, noise: bool, depthwise: bool) -> Pairs:
    """Return our name of every published tensor, and the axes of size 1 that only the published one has.

    | published | ours |
    |---|---|
    | `encoder.block.0` | `encoder.entry` |
    | `encoder.block.N.block.{0,1,2}.block.{0..3}` | `encoder.levels.{N-1}.units.{0,1,2}.body.{0..3}` |
    | `encoder.block.N.block.{3,4}` | `encoder.levels.{N-1}.{snake,conv}` |
    | `encoder.block.{next}.to_qkv` ... (attention) | `encoder.attention.qkv` ... |
    | `encoder.block.{last}` | `encoder.exit` |
    | `decoder.model.{0,1}` | `decoder.entry.{0,1}` |
    | `decoder.model.N.block.{0,1}` | `decoder.levels.M.{snake,conv}` |
    | `decoder.model.N.block.2.linear` (noise) | `decoder.levels.M.noise.mix` |
    | `decoder.model.N.block.{3,4,5}.block.{0..3}` | `decoder.levels.M.units.{0,1,2}.body.{0..3}` |
    | `decoder.model.{last two}` | `decoder.{snake,exit}` |
    | `quantizer.quantizers.K.{in_proj,out_proj}` | `quantizer.levels.K.{in_proj,out_proj}` |
    | `quantizer.quantizers.K.codebook.weight` | `quantizer.levels.K.codebook` |

    Args:
        levels: of encoder and decoder.
        codebooks: K.
        attention: whether there is attention.
        noise: whether there are noise blocks.
        depthwise: whether the units are depthwise.

    Example:
        >>> names = published_names(1, codebooks=1, attention=False, noise=True, depthwise=True)
        >>> names["decoder.model.2.block.2.linear.weight"], names["encoder.block.1.block.3.alpha"]
        (('decoder.levels.0.noise.mix.weight', ()), ('encoder.levels.0.snake.alpha', (0, 2)))
    """
    pairs = _layer("encoder.block.0", "encoder.entry")
    for n in range(levels):
        theirs, ours = f"encoder.block.{n + 1}.block", f"encoder.levels.{n}"
        pairs |= _units(theirs, 0, ours) | _snake(f"{theirs}.3", f"{ours}.snake")
        pairs |= _layer(f"{theirs}.4", f"{ours}.conv")
    at = levels + 1
    if attention:
        pairs |= _attention(f"encoder.block.{at}", "encoder.attention")
        at += 1
    pairs |= _layer(f"encoder.block.{at}", "encoder.exit")
    at = 0
    for at in range(2 if depthwise else 1):
        pairs |= _layer(f"decoder.model.{at}", f"decoder.entry.{at}")
    if attention:
        at += 1
        pairs |= _attention(f"decoder.model.{at}", "decoder.attention")
    for n in range(levels):
        at += 1
        theirs, ours = f"decoder.model.{at}.block", f"decoder.levels.{n}"
        pairs |= _snake(f"{theirs}.0", f"{ours}.snake") | _layer(f"{theirs}.1", f"{ours}.conv")
        if noise:
            pairs[f"{theirs}.2.linear.weight"] = (f"{ours}.noise.mix.weight", ())
        pairs |= _units(theirs, 2 + noise, ours)
    pairs |= _snake(f"decoder.model.{at + 1}", "decoder.snake") | _layer(f"decoder.model.{at + 2}", "decoder.exit")
    for k in range(codebooks):
        theirs, ours = f"quantizer.quantizers.{k}", f"quantizer.levels.{k}"
        for projection in ("in_proj", "out_proj"):
            pairs[f"{theirs}.{projection}.weight"] = (f"{ours}.{projection}.weight", (2,))
            pairs[f"{theirs}.{projection}.bias"] = (f"{ours}.{projection}.bias", ())
        pairs[f"{theirs}.codebook.weight"] = (f"{ours}.codebook", ())
    return pairs


def _layer(theirs: str, ours: str) -> Pairs:
    return {f"{theirs}.{part}": (f"{ours}.{part}", ()) for part in _CONV}


def _snake(theirs: str, ours: str) -> Pairs:
    return {f"{theirs}.alpha": (f"{ours}.alpha", (0, 2))}


def _units(theirs: str, first: int, ours: str) -> Pairs:
    pairs: Pairs = {}
    for unit in range(3):
        here, there = f"{theirs}.{first + unit}.block", f"{ours}.units.{unit}.body"
        for part in range(4):
            pairs |= (_layer if part % 2 else _snake)(f"{here}.{part}", f"{there}.{part}")
    return pairs


def _attention(theirs: str, ours: str) -> Pairs:
    return {f"{theirs}.{name}": (f"{ours}.{own}", ()) for name, own in _ATTENTION.items()}


def as_published(state: Mapping[str, Tensor], names: Pairs) -> dict[str, Tensor]:
    """Return our tensors (on the meta device, if need be) under the published names and in the published shapes.

    Example:
        >>> import torch
        >>> as_published({"a": torch.zeros(3)}, {"x.alpha": ("a", (0, 2))})["x.alpha"].shape
        torch.Size([1, 3, 1])
    """
    published = {}
    for theirs, (ours, axes) in names.items():
        value = state[ours]
        for axis in axes:
            value = value.unsqueeze(axis)
        published[theirs] = value
    return published


def as_ours(tensors: Mapping[str, Tensor], names: Pairs) -> dict[str, Tensor]:
    """Return published tensors, whose shapes were checked, under our names and in our shapes.

    Example:
        >>> import torch
        >>> as_ours({"x.alpha": torch.zeros(1, 3, 1)}, {"x.alpha": ("a", (0, 2))})["a"].shape
        torch.Size([3])
    """
    return {ours: tensors[theirs].squeeze(axes) for theirs, (ours, axes) in names.items()}


def require_depthwise(shapes: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Refuse a SNAC whose configuration says depthwise and whose tensors are not, in words better than shapes.

    Raises:
        CheckpointError: if the first unit mixes channels.

    Example:
        >>> require_depthwise({}, "model.bin")
    """
    for name in (_DEPTHWISE, _DEPTHWISE.replace("weight", "parametrizations.weight.original1")):
        shape = shapes.get(name)
        if shape is not None and len(shape) == 3 and shape[1] != 1:
            problem = "has units that mix channels, as DAC has them, where its configuration says depthwise"
            raise CheckpointError(one_line(where, problem, "get both files from one place"))
