"""What is asked of tensors before they become weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from tokaudio.errors import CheckpointError

# What float32 holds exactly; float64 would be rounded, or overflow after it was found finite.
_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_DOUBT = "are these another model's weights?"


def check_tensors(
    found: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    where: str,
    *,
    describe: Callable[[], str] | None = None,
) -> None:
    """Refuse tensors that are missing, unknown, misshapen, of a wrong type, or that hold a NaN or an Inf.

    One NaN in a codebook would win every comparison and turn all sound into one code, silently.

    Args:
        found: what the file holds.
        expected: what the network has; only shapes and dtypes are looked at, so they may be on the meta device.
        where: the file, for messages.
        describe: says what the tensors look like instead, such as `these look like SNAC weights`; asked only where
            names or shapes do not fit.

    Raises:
        CheckpointError: naming the first tensor that does not fit.

    Example:
        >>> check_tensors({"a": torch.zeros(2)}, {"a": torch.ones(2)}, "model.safetensors")
    """
    for problem, names in (
        ("lacks", sorted(expected.keys() - found.keys())),
        ("has the unknown", sorted(found.keys() - expected.keys())),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            doubt = _doubt(describe)
            raise CheckpointError(f"{where}: {problem} tensor {names[0]!r}{more}; {doubt}")
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape:
            shapes = f"{list(tensor.shape)}, not {list(expected[name].shape)}"
            raise CheckpointError(f"{where}: tensor {name!r} has shape {shapes}; {_doubt(describe)}")
        # Counters and indices are integers in the file and in the network.
        same_integers = tensor.dtype == expected[name].dtype and not tensor.is_floating_point()
        if tensor.dtype not in _DTYPES and not same_integers:
            raise CheckpointError(f"{where}: tensor {name!r} is {tensor.dtype}; save it again in float32 or float16")
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{where}: tensor {name!r} holds a NaN or an Inf; get an intact copy")


def _doubt(describe: Callable[[], str] | None) -> str:
    return (describe() if describe is not None else "") or _DOUBT
