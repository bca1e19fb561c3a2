"""The promises of every quantizer, as a list of laws."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tokaudio.errors import TokensError
from tokaudio.quantizers.base import Quantizer
from tokaudio.testing.report import (
    ConformanceReport,
    refused,
    require,
    require_same,
    require_unchanged,
    run_laws,
    snapshot,
)

_SHAPES = ((1, 1), (1, 17), (3, 40))


@dataclass
class _Trial:
    """A quantizer, and how to try it; every law works on copies of its own."""

    original: Quantizer
    residual: bool
    idempotent: bool
    seed: int

    def copy(self, *, training: bool = False) -> Quantizer:
        return copy.deepcopy(self.original).train(training)

    @functools.cached_property
    def _scale(self) -> float:
        return float(self.original.codebook(0).detach().std().clamp(1e-3, 1e3))

    def latents(self, batch: int, frames: int, *, seed: int = 0) -> Tensor:
        """Return vectors `[B, D, T]` of about the size of the first codebook's."""
        generator = torch.Generator().manual_seed(self.seed * 7919 + seed)
        return self._scale * torch.randn(batch, self.original.dim, frames, generator=generator)


def _shapes(trial: _Trial) -> int:
    """Codes are int64 `[B, K, T]` in range; decoding gives finite `[B, D, T]`."""
    quantizer = trial.copy()
    for batch, frames in _SHAPES:
        codes = quantizer.encode(trial.latents(batch, frames))
        require(codes.dtype == torch.int64, f"codes are {codes.dtype}, not int64")
        wanted = [batch, quantizer.num_codebooks, frames]
        require(list(codes.shape) == wanted, f"codes have shape {list(codes.shape)} instead of {wanted}")
        for k, size in enumerate(quantizer.codebook_sizes):
            inside = (codes[:, k] >= 0) & (codes[:, k] < size)
            require(bool(inside.all()), f"codebook {k} gives codes outside 0..{size - 1}")
        vectors = quantizer.decode(codes)
        wanted = [batch, quantizer.dim, frames]
        require(list(vectors.shape) == wanted, f"decode gives {list(vectors.shape)} instead of {wanted}")
        require(bool(torch.isfinite(vectors).all()), "decode gives non-finite vectors")
    return len(_SHAPES)


def _agreement(trial: _Trial) -> int:
    """In eval mode `forward` gives the codes of `encode` and the vectors of `decode`."""
    quantizer = trial.copy()
    for batch, frames in _SHAPES:
        latents = trial.latents(batch, frames)
        out, codes = quantizer(latents), quantizer.encode(latents)
        require_same(out.codes, codes, "codes of forward and of encode")
        gap = float((out.quantized - quantizer.decode(codes)).detach().abs().max())
        require(gap <= 1e-5 * max(1.0, float(out.quantized.detach().abs().max())), f"forward is {gap:.2g} off decode")
        require(out.loss.ndim == 0 and bool(torch.isfinite(out.loss)), "the loss is no finite scalar")
        require_same(quantizer.encode(latents), codes, "codes on a rerun")
    return len(_SHAPES)


def _prefix(trial: _Trial) -> int:
    """Fewer codebooks are the first ones; numbers that do not exist are refused."""
    quantizer, latents = trial.copy(), trial.latents(2, 25)
    codes = quantizer.encode(latents)
    for k in range(1, quantizer.num_codebooks + 1):
        few = quantizer.encode(latents, num_codebooks=k)
        require(few.shape[1] == k, f"num_codebooks={k} gives {few.shape[1]} codebooks")
        require(quantizer.decode(few).shape == latents.shape, f"codes of {k} codebooks do not decode")
        if trial.residual:
            require_same(few, codes[:, :k], f"codes with num_codebooks={k} and the first {k} of all")
    for k in (0, quantizer.num_codebooks + 1):
        with refused(ValueError, f"num_codebooks={k}"):
            quantizer.encode(latents, num_codebooks=k)
        with refused(ValueError, f"num_codebooks={k} in forward"):
            quantizer(latents, num_codebooks=k)
    return quantizer.num_codebooks + 4


def _ties(trial: _Trial) -> int:
    """Among equally near codewords the lowest index wins: duplicate rows, and points half way between two rows.

    Applies to quantizers that keep tables `[V, d]` in their state.
    """
    quantizer = trial.copy()
    state = quantizer.state_dict()
    tables = [t for t in state.values() if t.ndim == 2 and t.shape[0] in quantizer.codebook_sizes and len(t) > 1]
    if len(tables) < quantizer.num_codebooks:
        return 0
    with torch.no_grad():
        for table in tables:
            half = len(table) // 2
            table[half : 2 * half] = table[:half].clone()
    total = 0
    for batch, frames in _SHAPES:
        codes = quantizer.encode(trial.latents(batch, frames))
        for k, size in enumerate(quantizer.codebook_sizes):
            require(
                bool((codes[:, k] < size // 2 + size % 2 * size).all()),
                f"codebook {k} takes the later of two equal rows",
            )
            total += 1
    if len(tables) == len(state) == quantizer.num_codebooks and tables[0].shape[1] == quantizer.dim > 1:
        total += _midway(quantizer, tables[0], trial)
    return total


def _midway(quantizer: Quantizer, table: Tensor, trial: _Trial) -> int:
    """Mirror neighbouring rows at the plane where the first coordinate is 0, and encode points of that plane."""
    pairs = len(table) // 2
    with torch.no_grad():
        table[1 : 2 * pairs : 2] = table[: 2 * pairs : 2].clone()
        table[1 : 2 * pairs : 2, 0] *= -1
        table[2 * pairs :] = 1e6
    latents = trial.latents(3, 40)
    latents[:, 0] = 0
    codes = quantizer.encode(latents)[:, 0]
    require(not bool((codes % 2).any()), "a point half way between two codewords takes the later one")
    return codes.numel()


def _out_of_range(trial: _Trial) -> int:
    """Codes that do not exist, and codes of a wrong shape, are refused."""
    quantizer = trial.copy()
    codes = quantizer.encode(trial.latents(2, 5))
    for k, size in enumerate(quantizer.codebook_sizes):
        for code in (-1, size):
            wrong = codes.clone()
            wrong[1, k, 2] = code
            with refused(TokensError, f"code {code} of codebook {k}", naming=str(code)):
                quantizer.decode(wrong)
    with refused(TokensError, "codes without an axis"):
        quantizer.decode(codes[0])
    with refused(TokensError, "one codebook too many"):
        quantizer.decode(torch.cat([codes, codes[:, :1]], dim=1))
    return 2 * quantizer.num_codebooks + 2


def _tables(trial: _Trial) -> int:
    """`codebook(k)` is a finite table `[V, D]`; other indices are refused."""
    quantizer = trial.copy()
    for k, size in enumerate(quantizer.codebook_sizes):
        book = quantizer.codebook(k)
        wanted = [size, quantizer.dim]
        require(list(book.shape) == wanted, f"codebook {k} has shape {list(book.shape)} instead of {wanted}")
        require(bool(torch.isfinite(book).all()), f"codebook {k} is not finite")
    for k in (-1, quantizer.num_codebooks):
        with refused(IndexError, f"codebook({k})"):
            quantizer.codebook(k)
    if quantizer.num_codebooks == 1:
        codes = torch.arange(min(quantizer.codebook_sizes[0], 4096))
        gap = float(
            (quantizer.decode(codes[None, None])[0].T - quantizer.codebook(0)[: len(codes)]).detach().abs().max()
        )
        require(gap <= 1e-5, f"decode is {gap:.2g} off the codebook's rows")
    return quantizer.num_codebooks + 2


def _gradient(trial: _Trial) -> int:
    """In train mode a gradient reaches the input through the quantized vectors."""
    quantizer = trial.copy(training=True)
    latents = trial.latents(3, 40).requires_grad_()
    out = quantizer(latents)
    weights = trial.latents(3, 40, seed=1)
    (out.quantized * weights).sum().backward(retain_graph=out.loss.requires_grad)
    gradient = _taken(latents)
    require(bool(torch.isfinite(gradient).all()), "the gradient at the input is not finite")
    require(bool((gradient != 0).any()), "the gradient at the input is zero")
    if out.loss.requires_grad:
        out.loss.backward()
        require(bool(torch.isfinite(_taken(latents)).all()), "the gradient of the loss is not finite")
    return 2


def _taken(latents: Tensor) -> Tensor:
    """Return the gradient at the latents, zero where there is none, and clear it."""
    gradient = torch.zeros_like(latents) if latents.grad is None else latents.grad
    latents.grad = None
    return gradient


def _still(trial: _Trial) -> int:
    """Eval mode learns nothing, and `encode` and `decode` learn nothing in train mode either."""
    for training in (False, True):
        quantizer = trial.copy(training=training)
        before = snapshot(quantizer)
        for seed in range(5):
            codes = quantizer.encode(trial.latents(2, 30, seed=seed))
            quantizer.decode(codes)
            if not training:
                quantizer(trial.latents(2, 30, seed=seed))
        mode = "train" if training else "eval"
        require_unchanged(quantizer, before, f"using it in {mode} mode")
    return 10


def _autocast(trial: _Trial) -> int:
    """Codes do not depend on autocast or on grad mode."""
    quantizer, latents = trial.copy(), trial.latents(3, 200)
    wanted = quantizer.encode(latents)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        require_same(quantizer.encode(latents), wanted, "codes under bfloat16 autocast")
        trial.copy(training=True)(latents)
    codes = quantizer.encode(latents.requires_grad_())
    require_same(codes, wanted, "codes of vectors that require a gradient")
    return 3


def _half(trial: _Trial) -> int:
    """With bfloat16 weights, or under autocast, training finds the codes of encoding."""
    latents = trial.latents(3, 200)
    kinds = {torch.float32: (latents, latents.bfloat16()), torch.bfloat16: (latents,)}
    for weights, vectors in kinds.items():
        quantizer = trial.copy().to(weights)
        for given in vectors:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=weights == torch.float32):
                codes = quantizer.encode(given)
                what = f"codes of forward and of encode, {weights} weights and {given.dtype} vectors"
                require_same(quantizer(given).codes, codes, what)
            for k, size in enumerate(quantizer.codebook_sizes):
                inside = (codes[:, k] >= 0) & (codes[:, k] < size)
                require(
                    codes.dtype == torch.int64 and bool(inside.all()), f"codebook {k} gives codes that do not exist"
                )
    return 3


def _bijection(trial: _Trial) -> int:
    """Different codes stand for different vectors, and `decode` gives them back one by one.

    Applies to one codebook without a table in the state, whose index is computed.
    """
    quantizer = trial.copy()
    size = quantizer.codebook_sizes[0]
    implicit = not any(value.ndim == 2 and value.shape[0] == size for value in quantizer.state_dict().values())
    if quantizer.num_codebooks > 1 or not implicit or size > 2**16:
        return 0
    vectors = quantizer.decode(torch.arange(size)[None, None])[0].T
    found = len(vectors.detach().unique(dim=0))
    require(found == size, f"{size} codes stand for {found} different vectors")
    return size


def _idempotence(trial: _Trial) -> int:
    """Quantizing what was quantized changes nothing."""
    if not trial.idempotent:
        return 0
    quantizer = trial.copy()
    for batch, frames in _SHAPES:
        codes = quantizer.encode(trial.latents(batch, frames))
        once = quantizer.decode(codes)
        twice = quantizer.decode(quantizer.encode(once))
        gap = float((once - twice).detach().abs().max())
        require(gap <= 1e-5 * max(1.0, trial._scale), f"quantizing twice moves vectors by {gap:.2g}")
    return len(_SHAPES)


def _resume(trial: _Trial) -> int:
    """With `state_dict` and `learning_state` a quantizer goes on to learn as if it had never been saved."""
    whole, resumed = trial.copy(training=True), trial.copy(training=True)
    for seed in range(3):
        whole(trial.latents(2, 40, seed=seed))
    resumed.load_state_dict(whole.state_dict())
    resumed.load_learning_state(whole.learning_state())
    for seed in range(3, 6):
        for quantizer in (whole, resumed):
            torch.manual_seed(trial.seed)
            quantizer(trial.latents(2, 40, seed=seed))
    require_unchanged(resumed, snapshot(whole), "three steps after a restart")
    return 3


def _not_finite(trial: _Trial) -> int:
    """Training on non-finite or enormous vectors, even first of all, leaves every number of the state finite."""
    values = (torch.nan, torch.inf, 1e30, 3e38)
    for value in values:
        for first in (True, False):
            quantizer = trial.copy(training=True)
            if not first:
                quantizer(trial.latents(2, 40))
            latents = trial.latents(2, 40, seed=1)
            latents[0, :, :7] = value
            for batch in (latents, trial.latents(2, 40, seed=2)):
                quantizer(batch)
                for name, tensor in snapshot(quantizer).items():
                    finite = not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())
                    require(finite, f"training on {value} {'first' if first else 'later'} makes {name!r} non-finite")
    return 2 * len(values)


_LAWS: dict[str, Callable[[_Trial], int]] = {
    "shapes": _shapes,
    "forward agrees with encode": _agreement,
    "prefix": _prefix,
    "ties": _ties,
    "out of range": _out_of_range,
    "codebooks": _tables,
    "gradient": _gradient,
    "eval does not learn": _still,
    "autocast": _autocast,
    "non-finite training": _not_finite,
    "half precision": _half,
    "bijection": _bijection,
    "idempotence": _idempotence,
    "resuming": _resume,
}


def check_quantizer(
    quantizer: Quantizer, *, residual: bool = True, idempotent: bool = False, seed: int = 0, raises: bool = True
) -> ConformanceReport:
    """Put a quantizer through every promise of the contract.

    Works on copies; the quantizer stays as it is.

    Args:
        quantizer: to be checked, trained or not.
        residual: whether the first k codes do not depend on how many codebooks are used.
        idempotent: whether quantizing a quantized vector gives it back, as with one codebook in the latents' own space.
        seed: of the vectors that it is tried on.
        raises: whether broken laws raise; otherwise they are only reported.

    Returns:
        Every law with the number of cases that held.

    Raises:
        ConformanceError: if a law is broken.

    Example:
        >>> from tokaudio.quantizers import VectorQuantizer
        >>> print(check_quantizer(VectorQuantizer(4, 16)).laws[0])
        LawResult(name='shapes', cases=3, problem='')
    """
    trial = _Trial(quantizer, residual, idempotent, seed)
    laws = {name: functools.partial(law, trial) for name, law in _LAWS.items()}
    return run_laws(type(quantizer).__name__, laws, raises=raises)
