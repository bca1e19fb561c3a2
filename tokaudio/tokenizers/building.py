"""Networks from tensors: compared before memory is taken, and never trusted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tokaudio.checkpoints import check_tensors
from tokaudio.errors import CheckpointError
from tokaudio.spec import TokenizerSpec

Module = TypeVar("Module", bound=nn.Module)

# Numbers that count layers: those between dots.
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


def load_tensors(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    where: str,
    *,
    ignore: Iterable[str] = (),
    describe: Callable[[], str] | None = None,
) -> None:
    """Give a module its weights, after a check that they are the right ones; floats become float32.

    Args:
        module: its state dict says what is needed.
        tensors: by the module's own names, weight norm folded.
        where: the file, for messages.
        ignore: beginnings of names that may be there and are not needed, such as `quantizer.ema.`.
        describe: as for `check_tensors`.

    Raises:
        CheckpointError: if a tensor is missing, unknown, misshapen or non-finite.

    Example:
        >>> layer = nn.Linear(1, 1, bias=False)
        >>> load_tensors(layer, {"weight": torch.ones(1, 1), "ema.x": torch.ones(3)}, "a.pth", ignore=["ema."])
        >>> layer.weight.item()
        1.0
    """
    expected = module.state_dict()
    kept = _kept(tensors, expected, ignore)
    check_tensors(kept, expected, where, describe=describe)
    # Copied into the module's own tensors: their memory layout is part of how layers compute, and rounding with it.
    module.load_state_dict({name: value.to(float_dtype(value)) for name, value in kept.items()})
    module.requires_grad_(False)


def build(
    make: Callable[[], Module],
    tensors: Mapping[str, Tensor],
    where: str,
    *,
    names: Mapping[str, str] | None = None,
    ignore: Iterable[str] = (),
    describe: Callable[[], str] | None = None,
) -> Module:
    """Make a module and give it its weights, without memory for sizes that the tensors do not have.

    The module is first made on the meta device, where it takes no memory, and compared with the tensors; then for
    real, without the time that random weights take.

    Args:
        make: makes the module, the same each time, without looking at values of its own tensors.
        tensors: as for `load_tensors`.
        where: the file, for messages.
        names: of the tensors in the file, by the module's own, where they are others; messages then use them. Where
            the file's name of a tensor that it lacks is not among them, it is told from those of others.
        ignore: as for `load_tensors`.
        describe: as for `check_tensors`.

    Raises:
        CheckpointError: if a tensor is missing, unknown, misshapen or non-finite.

    Example:
        >>> def make() -> nn.Linear:
        ...     return nn.Linear(1, 1, bias=False)
        >>> build(make, {"weight": torch.ones(1, 1)}, "a.pth").weight.item()
        1.0
        >>> build(make, {"layer.w": torch.full((1, 1), torch.nan)}, "a.pth", names={"weight": "layer.w"})
        Traceback (most recent call last):
        tokaudio.errors.CheckpointError: a.pth: tensor 'layer.w' holds a NaN or an Inf; get an intact copy
    """
    expected = skeleton(make)
    if names is not None:
        if expected is not None:
            known = _NamesInFile(names)
            published = {known.of(name): value for name, value in expected.items()}
            check_tensors(_kept(tensors, published, ignore), published, where, describe=describe)
        tensors = {ours: tensors[theirs] for ours, theirs in names.items()}
    elif expected is not None:
        check_tensors(_kept(tensors, expected, ignore), expected, where, describe=describe)
    module = make_unfilled(make)
    load_tensors(module, tensors, where, ignore=ignore, describe=describe)
    return module


class _NamesInFile:
    """What a file calls tensors: as said, else as a neighbour's name tells, else as the module does.

    Neighbours are the other tensors of a layer (`weight` tells of `bias`), and those whose names differ in numbers
    alone, where all of them agree.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names
        self.modules: dict[str, str] = {}
        self.patterns: dict[str, set[str]] = {}
        for ours, theirs in names.items():
            module, _, leaf = ours.rpartition(".")
            if theirs.endswith(f".{leaf}"):
                self.modules[module] = theirs.removesuffix(leaf)
            self.patterns.setdefault(_NUMBER.sub("#", ours), set()).add(_NUMBER.sub("#", theirs))

    def of(self, name: str) -> str:
        if name in self.names:
            return self.names[name]
        module, _, leaf = name.rpartition(".")
        if module in self.modules:
            return self.modules[module] + leaf
        numbers, patterns = _NUMBER.findall(name), self.patterns.get(_NUMBER.sub("#", name), set())
        if len(patterns) == 1 and (pattern := next(iter(patterns))).count("#") == len(numbers):
            return pattern.replace("#", "{}").format(*numbers)
        return name


def require_frame(spec: TokenizerSpec, hop_length: int) -> None:
    """Refuse a spec whose frames are not those of a network of one channel.

    Raises:
        CheckpointError: naming both.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> require_frame(TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),)), 320)
    """
    if (spec.hop_length, spec.channels) != (hop_length, 1):
        facts = f"{spec.hop_length} samples and {spec.channels} channels"
        raise CheckpointError(f"{spec.name}: a frame is {facts} in the spec, {hop_length} and 1 in the network")


def skeleton(make: Callable[[], nn.Module]) -> dict[str, Tensor] | None:
    """Return a module's state dict on the meta device, where sizes cost no memory.

    None if making it needs the values of a tensor, which the meta device has not.

    Example:
        >>> skeleton(lambda: nn.Linear(10**6, 10**6, bias=False))["weight"].shape
        torch.Size([1000000, 1000000])
    """
    try:
        with torch.device("meta"), _NoValues():
            return make().state_dict()
    except NotImplementedError:
        return None
    except RuntimeError as error:
        if "meta" in str(error):
            return None
        raise


def make_unfilled(make: Callable[[], Module]) -> Module:
    """Make a module whose weights are yet to come, without the time that random ones take.

    Example:
        >>> make_unfilled(lambda: nn.Linear(2, 3)).weight.shape
        torch.Size([3, 2])
    """
    with _NoRandomWeights():
        return make()


class _NoRandomWeights(TorchFunctionMode):
    """Leaves weights as they are where layers would draw them at random.

    Only what `torch.nn.init` hands over: a method of tensors, such as `normal_`, may stand in a loop that ends when
    the values please.
    """

    _SKIPPED = frozenset({"uniform_", "normal_", "kaiming_uniform_", "kaiming_normal_"})

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init" and func.__name__ in self._SKIPPED:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


class _NoValues(_NoRandomWeights):
    """Makes windows without values too: on the meta device, torch would import half a compiler for them."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "").endswith("_window") and args:
            return torch.empty(args[0], device="meta")
        return super().__torch_function__(func, types, args, kwargs)


def _kept(tensors: Mapping[str, Tensor], expected: Mapping[str, Any], ignore: Iterable[str]) -> dict[str, Tensor]:
    prefixes = tuple(ignore)
    return {name: value for name, value in tensors.items() if name in expected or not name.startswith(prefixes)}


def float_dtype(value: Tensor) -> torch.dtype:
    """Return what a tensor becomes as a weight: float32, or integers as they are.

    Example:
        >>> float_dtype(torch.zeros(1, dtype=torch.bfloat16))
        torch.float32
    """
    return torch.float32 if value.is_floating_point() else value.dtype
