"""How a gradient passes a quantizer, whose own derivative is zero almost everywhere.

Straight through (van den Oord et al. 2017, arXiv:1711.00937, section 3.2) copies it from the codeword `q` to the vector
`e`. The rotation trick (Fifty et al. 2024, arXiv:2410.06424, section 4) takes the codeword for `q = s R e`, where the
rotation `R` in the plane of both turns `e` to the direction of `q` and `s = |q| / |e|` stretches it, and holds `s` and
`R` constant: the gradient becomes `s R' g`, and keeps the angle to the vector that it had to the codeword.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Gradient = Literal["straight-through", "rotation"]
GRADIENTS: tuple[Gradient, ...] = ("straight-through", "rotation")

# Shorter vectors have no direction, and opposite ones no plane: there the gradient passes straight through.
_SHORTEST = 1e-6


def pass_gradient(vectors: Tensor, words: Tensor, kind: Gradient = "straight-through") -> Tensor:
    """Return the values of `words`, to the last bit, with a gradient that reaches `vectors` and not the words.

    Args:
        vectors: what was quantized, `[..., D]`.
        words: what it became, `[..., D]`.
        kind: `"straight-through"` or `"rotation"`.

    Returns:
        `words`, `[..., D]`.

    Raises:
        ValueError: if there is no such kind.

    Example:
        >>> vector, word = torch.tensor([3.0, 0.0], requires_grad=True), torch.tensor([0.0, 6.0])
        >>> pass_gradient(vector, word, "rotation").backward(torch.tensor([0.0, 1.0]))
        >>> vector.grad.round(decimals=4)
        tensor([2., 0.])
    """
    require_gradient(kind)
    function = _StraightThrough if kind == "straight-through" else _Rotation
    passed: Tensor = function.apply(vectors, words.detach())
    return passed


def pull_together(
    vectors: Tensor, words: Tensor, *, commitment: float, learned: bool = False, weights: Tensor | None = None
) -> Tensor:
    """Return the commitment loss of vectors to their codewords, plus, where those learn, that of codewords to vectors.

    `commitment * |e - sg(q)|^2 + |q - sg(e)|^2`, each a mean over all numbers (van den Oord et al. 2017, equation 3);
    the second term only if codewords learn by gradient. One difference serves both terms and their gradients.

    Args:
        vectors: `[B, T, D]`.
        words: the codewords that they became `[B, T, D]`.
        commitment: weight of the first term.
        learned: whether the codewords learn by gradient.
        weights: of the items `[B]`; None for one each.

    Returns:
        The loss, a scalar.

    Example:
        >>> pull_together(torch.tensor([[[3.0]]]), torch.tensor([[[1.0]]]), commitment=0.25)
        tensor(1.)
    """
    loss: Tensor = _PullTogether.apply(vectors, words, (commitment, float(learned)), weights)
    return loss


def require_gradient(kind: str) -> None:
    """Raise `ValueError` unless `kind` names a way for gradients to pass.

    Example:
        >>> require_gradient("rotation")
    """
    if kind not in GRADIENTS:
        raise ValueError(f"gradient must be one of {', '.join(map(repr, GRADIENTS))}, got {kind!r}")


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, words: Tensor) -> Tensor:
        ctx.dtype = vectors.dtype
        return words.view_as(words)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0].to(ctx.dtype), None


class _PullTogether(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, words: Tensor, terms: tuple[float, float], weights: Tensor | None) -> Tensor:
        gap = vectors - words
        pull = gap if weights is None else gap * weights.to(gap.dtype)[:, None, None]
        ctx.save_for_backward(pull)
        ctx.terms = terms
        # The pull is the gap or nothing of it, or a share of both.
        squares = pull.flatten().dot(gap.flatten()) / max(1, gap.numel())
        return squares * sum(terms)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (pull,) = ctx.saved_tensors
        scale = 2 * gradients[0] / max(1, pull.numel())
        of_vectors, of_words = ctx.terms
        to_vectors = pull * (scale * of_vectors) if ctx.needs_input_grad[0] else None
        to_words = pull * (scale * -of_words) if of_words and ctx.needs_input_grad[1] else None
        return to_vectors, to_words, None, None


class _Rotation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, words: Tensor) -> Tensor:
        ctx.save_for_backward(vectors, words)
        return words.view_as(words)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        vectors, words = (saved.detach() for saved in ctx.saved_tensors)
        return rotate_back(gradients[0], vectors, words).to(vectors.dtype), None


def rotate_back(gradient: Tensor, vectors: Tensor, words: Tensor) -> Tensor:
    """Return `s R' g`: the gradient `[..., D]` at the vectors that the rotation trick makes of one at the words.

    With unit vectors `a` of the vector and `b` of the word, and `m` of their sum, `R = I - 2 m m' + 2 b a'`
    (equation 4 of the paper); a few products per row, never a matrix.

    Example:
        >>> gradient, vector, word = torch.tensor([[0.0, 1.0], [3.0, 0.0], [0.0, 6.0]])
        >>> rotate_back(gradient, vector, word).round(decimals=4)
        tensor([2., 0.])
    """
    lengths, targets = (rows.norm(dim=-1, keepdim=True) for rows in (vectors, words))
    a, b = vectors / lengths, words / targets
    middle = a + b
    width = middle.norm(dim=-1, keepdim=True)
    m = middle / width
    turned = gradient - 2 * m * (m * gradient).sum(-1, keepdim=True) + 2 * a * (b * gradient).sum(-1, keepdim=True)
    # Comparisons with NaN are false, so that vectors which are no numbers go straight through as well.
    plain = (lengths > _SHORTEST) & (targets > _SHORTEST) & (width > _SHORTEST)
    return torch.where(plain, turned * (targets / lengths), gradient)
