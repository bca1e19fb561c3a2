"""What makes a `Tokens` valid: the checks and normalisations that its constructor runs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from tokaudio.errors import TokensError
from tokaudio.spec import TokenizerSpec

FRAME_PREFIX = "frame_"
ITEM_PREFIX = "item_"

_INTEGERS = frozenset(
    (torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int16, torch.int32, torch.int64)
)
NUMPY_DTYPES = _INTEGERS | {torch.bool, torch.float16, torch.float32, torch.float64}


def as_int64(what: str, value: object, shape: tuple[int | None, ...], device: torch.device | None = None) -> Tensor:
    """Return an integer tensor as int64, after checking its rank, its known sizes and its device."""
    if not isinstance(value, Tensor):
        raise TokensError(f"{what} is a {type(value).__name__}; give a torch tensor of integers")
    if value.dtype not in _INTEGERS:
        raise TokensError(f"{what} has dtype {value.dtype}; give integers")
    if value.ndim != len(shape) or any(w is not None and w != h for w, h in zip(shape, value.shape, strict=True)):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise TokensError(f"{what} has shape {list(value.shape)}; give shape [{wanted}]")
    if device is not None and value.device != device:
        raise TokensError(f"{what} is on {value.device} and codes on {device}; put all tensors on one device")
    return value.to(torch.int64)


def check_lengths(lengths: Tensor, num_samples: Tensor, frames: int) -> None:
    """Refuse lengths outside [0, T] and negative sample counts."""
    for item, (length, samples) in enumerate(zip(lengths.tolist(), num_samples.tolist(), strict=True)):
        if not 0 <= length <= frames:
            raise TokensError(f"item {item} has a length of {length} frames; give 0 to {frames}, as codes holds")
        if samples < 0:
            raise TokensError(f"item {item} has {samples} samples; give 0 or more")


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """Return which frames lie within the lengths [B]: bool [B, T]."""
    return torch.arange(frames, device=lengths.device)[None, :] < lengths[:, None]


def clean_depth(depth: Tensor, mask: Tensor, codebooks: int) -> Tensor:
    """Return depth [B, T] with zeroed padding, after checking 0 <= depth <= K."""
    depth = depth.masked_fill(~mask, 0)
    if depth.numel():
        low, high = (int(edge) for edge in torch.aminmax(depth))
        if low < 0 or high > codebooks:
            wrong = low if low < 0 else high
            raise TokensError(
                f"a depth of {wrong} with {codebooks} codebooks; give 0 to {codebooks} codebooks per frame"
            )
    return depth


def valid_codes(mask: Tensor, depth: Tensor | None, codebooks: int) -> Tensor:
    """Return which codes count: bool [B, K, T], within lengths and depth."""
    if depth is None:
        return mask[:, None, :].expand(-1, codebooks, -1)
    return mask[:, None, :] & (torch.arange(codebooks, device=mask.device)[None, :, None] < depth[:, None, :])


def clean_codes(codes: Tensor, valid: Tensor, mask: Tensor, spec: TokenizerSpec) -> Tensor:
    """Return codes [B, K, T] with zeros where `valid` is false, after checking ranges and strides."""
    if not codes.numel():
        return codes
    if not bool(valid.all()):
        codes = codes.masked_fill(~valid, 0)
    low, high = codes.amin(dim=(0, 2)).tolist(), codes.amax(dim=(0, 2)).tolist()
    for k, size in enumerate(spec.codebook_sizes):
        if low[k] < 0 or high[k] >= size:
            wrong = low[k] if low[k] < 0 else high[k]
            raise TokensError(
                f"code {wrong} in codebook {k} of {spec.name}, which has {size} codes; give codes from 0 to {size - 1}"
            )
    for k, codebook in enumerate(spec.codebooks):
        if codebook.stride > 1:
            _check_stride(codes[:, k], valid[:, k], mask, k, codebook.stride)
    return codes


def _check_stride(codes: Tensor, valid: Tensor, mask: Tensor, k: int, stride: int) -> None:
    # One code spans `stride` frames, fewer only at the item's end: it and its validity must not change within them.
    first = torch.arange(codes.shape[1], device=codes.device) // stride * stride
    differs = mask & ((codes != codes[:, first]) | (valid != valid[:, first]))
    if bool(differs.any()):
        raise TokensError(
            f"codebook {k} has stride {stride} but changes within {stride} frames; repeat each of its codes, "
            "or build with Tokens.from_ragged"
        )


def clean_extras(extras: Mapping[str, Tensor], mask: Tensor) -> Mapping[str, Tensor]:
    """Return detached extras, `frame_...` ones with zeroed padding, read-only and sorted by name."""
    batch, frames = mask.shape
    cleaned = {}
    for name, given in sorted(_items("extras", extras)):
        if not name.isidentifier():
            raise TokensError(f"an extra is named {name!a}; give a name of letters, digits and underscores")
        if not isinstance(given, Tensor) or given.device != mask.device:
            raise TokensError(f"the extra {name} is not a tensor on {mask.device}; put all tensors on one device")
        if given.ndim < 1 or given.shape[0] != batch:
            raise TokensError(
                f"the extra {name} has shape {list(given.shape)}; give {batch} items in its first dimension"
            )
        if not bool(torch.isfinite(given).all()):
            raise TokensError(f"the extra {name} holds a NaN or an infinity; give finite values")
        cleaned[name] = given.detach()
        if name.startswith(FRAME_PREFIX):
            if given.ndim < 2 or given.shape[1] != frames:
                raise TokensError(f"the extra {name} has shape {list(given.shape)}; give [{batch}, {frames}, ...]")
            padding = ~mask.reshape(batch, frames, *[1] * (given.ndim - 2))
            cleaned[name] = cleaned[name].masked_fill(padding, 0)
    return MappingProxyType(cleaned)


def clean_provenance(provenance: Mapping[str, str]) -> Mapping[str, str]:
    """Return provenance read-only and sorted, after checking that it maps printable text to printable text."""
    for name, value in _items("provenance", provenance):
        if not (isinstance(value, str) and value.isprintable() and name.isprintable()):
            raise TokensError(f"the provenance {name!a} is {ascii(value)[:60]}; give one line of printable text")
    return MappingProxyType(dict(sorted(provenance.items())))


def _items(what: str, mapping: object) -> list[tuple[str, object]]:
    if not isinstance(mapping, Mapping) or not all(isinstance(name, str) for name in mapping):
        raise TokensError(f"{what} is a {type(mapping).__name__} without names; give a dictionary with text as keys")
    return list(mapping.items())
