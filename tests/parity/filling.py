"""Weights for reference models that cannot be downloaded: random, but so that every code and every tensor matters.

A freshly made network is a poor test: its activations shrink from layer to layer until all frames get the same code,
its codebooks are zero, its biases and norms are 0 and 1. `calibrate` gives every layer outputs of zero mean and unit
variance in every channel over real sound (Mishkin and Matas 2016, arXiv:1511.06422, per channel), `scatter` moves
biases, slopes and norms away from their neutral values, and the `fill_...` functions draw codebooks from latents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_CALIBRATED = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.ConvTranspose1d)


def effective_weight(layer: nn.Module) -> Tensor:
    """Return the weight that a layer multiplies by, whichever form of weight norm it has.

    Example:
        >>> effective_weight(nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))).shape
        torch.Size([2, 3])
    """
    if hasattr(layer, "weight_g"):
        return torch._weight_norm(layer.weight_v, layer.weight_g, 0).detach()
    return layer.weight.detach()


@torch.no_grad()
def set_weight(layer: nn.Module, weight: Tensor) -> None:
    """Make a layer multiply by `weight`; under weight norm, direction vectors get lengths other than the gain.

    So that a reader that mixes up gain and direction, or leaves the gain out, is caught.

    Example:
        >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
        >>> set_weight(layer, torch.ones(2, 3))
        >>> bool(torch.allclose(effective_weight(layer), torch.ones(2, 3)))
        True
    """
    if hasattr(layer, "weight_g"):
        gain, direction = layer.weight_g, layer.weight_v
    elif hasattr(layer, "parametrizations") and "weight" in layer.parametrizations:
        gain, direction = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
    else:
        layer.weight.copy_(weight)
        return
    dims = [d for d in range(weight.dim()) if gain.shape[d] == 1]
    lengths = 0.5 + torch.rand(gain.shape, generator=torch.Generator().manual_seed(weight.numel()))
    gain.copy_(weight.square().sum(dims, keepdim=True).sqrt())
    direction.copy_(weight * lengths)


@torch.no_grad()
def calibrate(model: nn.Module, run: Callable[[], object], *, scales: dict[nn.Module, float] | None = None) -> None:
    """Give every convolution and linear layer outputs of zero mean and unit variance per channel, in one pass.

    Args:
        model: layers that lie under it are changed in place, each at its first call, in the order of the calls.
        run: runs the model over sound, for example `lambda: model.encoder(audio)`; layers it does not reach are left.
        scales: standard deviation of the output of single layers, instead of 1; `{last: 0.2}` for the last layer of a
            decoder, so that its samples are of the size of sound.

    Example:
        >>> layer = nn.Conv1d(1, 4, 3)
        >>> sound = torch.randn(1, 1, 500, generator=torch.Generator().manual_seed(0))
        >>> calibrate(layer, lambda: layer(sound))
        >>> layer(sound).std(dim=2).allclose(torch.ones(4), atol=1e-3)
        True
    """
    seen: set[nn.Module] = set()

    def standardise(layer: nn.Module, _: object, output: Tensor) -> Tensor:
        if layer in seen:
            return output
        seen.add(layer)
        axis = output.dim() - 1 if isinstance(layer, nn.Linear) else 1
        rows = output.movedim(axis, 0).flatten(1)
        mean, std = rows.mean(1), rows.std(1)
        # One position or one value for all: there is no spread to normalise.
        factor = (scales or {}).get(layer, 1.0) / torch.where(std > 1e-6, std, torch.ones_like(std))
        weight, out_dim = effective_weight(layer), int(isinstance(layer, nn.ConvTranspose1d))
        shape = [-1 if d == out_dim else 1 for d in range(weight.dim())]
        if isinstance(layer, nn.ConvTranspose1d) and layer.groups > 1:
            factor, mean = factor.mean().expand_as(factor), torch.zeros_like(mean)
            set_weight(layer, weight * factor[0])
        else:
            set_weight(layer, weight * factor.view(shape))
        spread = [-1 if d == axis else 1 for d in range(output.dim())]
        if layer.bias is None:
            return output * factor.view(spread)
        layer.bias.copy_((layer.bias - mean) * factor)
        return (output - mean.view(spread)) * factor.view(spread)

    hooks = [m.register_forward_hook(standardise) for m in model.modules() if isinstance(m, _CALIBRATED)]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def scatter(model: nn.Module, seed: int = 0) -> None:
    """Move biases, norm weights and slopes (one-dimensional or `[1, C, 1]`) away from their neutral values.

    Call it before `calibrate`. Gains of weight norm and recurrent biases are left alone.

    Example:
        >>> norm = nn.GroupNorm(1, 4)
        >>> scatter(norm)
        >>> len(set(norm.weight.tolist()))
        4
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        is_row = parameter.dim() == 1 or (parameter.dim() == 3 and parameter.shape[0] == parameter.shape[2] == 1)
        if not is_row or "original" in name or "weight_g" in name or "lstm" in name or parameter.numel() < 2:
            continue
        noise = torch.rand(parameter.shape, generator=generator)
        if name.endswith("bias"):
            parameter.add_(0.2 * (noise - 0.5))
        else:
            parameter.mul_(0.6 + 0.8 * noise)


class FilledLevel(NamedTuple):
    """What one level got: its codebook `[V, d]` and the residual `[N, D]` that is left for the next one."""

    codebook: Tensor
    residual: Tensor


@torch.no_grad()
def fill_euclidean(residual: Tensor, size: int, generator: torch.Generator) -> FilledLevel:
    """Draw one codebook `[V, D]` near residual vectors `[N, D]`: their directions, jittered, at a spread of lengths.

    Codewords are shorter than the vectors, so that every level makes the residual smaller, as a trained one does;
    copies of the vectors would leave most later residuals as they are, and the deep levels all alike.

    Example:
        >>> vectors = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
        >>> level = fill_euclidean(vectors, 64, torch.Generator().manual_seed(1))
        >>> level.codebook.shape, bool(level.residual.square().mean() < vectors.square().mean())
        (torch.Size([64, 8]), True)
    """
    length = residual.norm(dim=1).median() * (0.2 + 0.5 * torch.rand(size, 1, generator=generator))
    book = F.normalize(_drawn(residual, size, generator, jitter=0.5)) * length
    return FilledLevel(book, residual - book[torch.cdist(residual, book).argmin(1)])


@torch.no_grad()
def fill_projected(
    residual: Tensor,
    size: int,
    project_in: nn.Module,
    project_out: nn.Module,
    generator: torch.Generator,
    *,
    pool: int = 1,
) -> FilledLevel:
    """Set one level of DAC type: projections fitted to the residual, codewords of every length in their directions.

    The input projection gives unit variance in each of its dimensions, the output projection is the least-squares way
    back, so that residuals shrink, and codewords have lengths from 0.5 to 2 times their directions', so that a reader
    that looks up normalised codewords is caught.

    Args:
        residual: vectors in the order of time `[N, D]`.
        size: V.
        project_in: 1x1 convolution or linear layer, D to d.
        project_out: 1x1 convolution or linear layer, d to D.
        generator: random numbers.
        pool: frames that are averaged before the search (SNAC); N is cut to a multiple.

    Returns:
        The codebook, to be copied into the reference, and the residual.
    """
    residual = residual[: len(residual) // pool * pool]
    pooled = residual.unflatten(0, (-1, pool)).mean(1)
    weight = effective_weight(project_in)
    flat = weight.flatten(1)
    query = pooled @ flat.T
    factor = 1 / query.std(0).clamp(min=1e-9)
    set_weight(project_in, weight * factor.view(-1, *[1] * (weight.dim() - 1)))
    bias = -query.mean(0) * factor
    project_in.bias.copy_(bias)
    query = query * factor + bias
    book = _drawn(query, size, generator) * (0.5 + 1.5 * torch.rand(size, 1, generator=generator))
    chosen = book[(F.normalize(query) @ F.normalize(book).T).argmax(1)]
    design = torch.cat([chosen, torch.ones(len(chosen), 1)], dim=1).double()
    normal = design.T @ design + 1e-3 * len(design) * torch.eye(design.shape[1], dtype=torch.float64)
    solution = torch.linalg.solve(normal, design.T @ pooled.double()).float()
    back = effective_weight(project_out)
    set_weight(project_out, solution[:-1].T.reshape(back.shape))
    project_out.bias.copy_(solution[-1])
    found = chosen @ solution[:-1] + solution[-1]
    return FilledLevel(book, residual - found.repeat_interleave(pool, 0))


@torch.no_grad()
def fill_residual_euclidean(latents: Tensor, sizes: Sequence[int], seed: int = 0) -> list[Tensor]:
    """Return codebooks `[V, D]` for a whole residual chain over latents `[N, D]` (EnCodec, Mimi, SpeechTokenizer).

    Example:
        >>> vectors = torch.randn(400, 8, generator=torch.Generator().manual_seed(0))
        >>> [tuple(book.shape) for book in fill_residual_euclidean(vectors, [32, 16])]
        [(32, 8), (16, 8)]
    """
    generator = torch.Generator().manual_seed(seed)
    books = []
    for size in sizes:
        level = fill_euclidean(latents, size, generator)
        books.append(level.codebook)
        latents = level.residual
    return books


def _drawn(vectors: Tensor, size: int, generator: torch.Generator, *, jitter: float = 0.2) -> Tensor:
    """Return `size` of the vectors, as many different ones as there are, each moved by `jitter` of their spread."""
    order = torch.cat([torch.randperm(len(vectors), generator=generator) for _ in range(-(-size // len(vectors)))])
    noise = torch.randn(size, vectors.shape[1], generator=generator)
    return vectors[order[:size]] + jitter * vectors.std(0) * noise
