"""Balanced losses: weights that say how much each loss has its way, whatever the size of its gradient.

A weight beside a loss says little: how far a loss pulls depends on the size of its gradient, and that changes over a
training by orders of magnitude. With gradients g_i of the losses at the output of the network, and moving averages
<|g_i|> of their norms, what is sent back into the network is (EnCodec, arXiv:2210.13438, section 3.4)

    sum_i  R * w_i / (sum_j w_j) * g_i / <|g_i|>
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tokaudio.errors import one_line
from tokaudio.quantizers.processes import add_up, process_count

_LEAST = 1e-12


class GradientBalancer:
    """Scales the gradients of several losses at one output so that each has its share of their sum.

    Losses that do not depend on the output, such as the commitment of a quantizer, have no gradient there; give their
    sum as `besides`. With several processes (`torch.distributed`), norms are those of all on average.

    Args:
        weights: share of each loss, by name; they need not sum to 1.
        scale: R, the norm of the balanced gradient, were all gradients to point the same way.
        decay: of the averages of the norms; a young average forgets faster.

    Attributes:
        norms: the averaged norm of each loss's gradient so far, by name.

    Raises:
        ValueError: if a weight is negative or none is positive, or decay is not in [0, 1).

    Example:
        >>> net, target = torch.nn.Linear(4, 4), torch.ones(2, 4)
        >>> output = net(torch.randn(2, 4))
        >>> losses = {"far": 1000 * (output - target).square().mean(), "near": (output - target).abs().mean()}
        >>> balancer = GradientBalancer({"far": 1.0, "near": 1.0})
        >>> sorted(balancer.backward(losses, output))
        ['norm_far', 'norm_near']
    """

    def __init__(self, weights: Mapping[str, float], *, scale: float = 1.0, decay: float = 0.999) -> None:
        if not weights or min(weights.values()) < 0 or not sum(weights.values()) > 0:
            raise ValueError(f"weights are {dict(weights)}; give some that are not negative, and one that is positive")
        if not 0 <= decay < 1:
            raise ValueError(f"decay is {decay}; give a number from 0 to less than 1")
        self.weights, self.scale, self.decay = dict(weights), scale, decay
        self.norms: dict[str, float] = {}
        self._seen: dict[str, int] = {}

    def gradient(self, losses: Mapping[str, Tensor], output: Tensor) -> Tensor:
        """Return the balanced gradient of losses at `output`, of its shape; the norms are averaged in.

        A loss whose gradient is not finite is left out of this step, and of the average.

        Args:
            losses: scalars by name; their graphs stay, as several may share one.
            output: what the losses were computed from, such as a reconstruction `[B, S]`.

        Raises:
            ValueError: if a loss has no weight.
        """
        unknown = [name for name in losses if name not in self.weights]
        if unknown:
            raise ValueError(one_line(unknown[0], "is a loss without a weight", f"there are {', '.join(self.weights)}"))
        total = sum(self.weights[name] for name in losses)
        balanced = torch.zeros_like(output)
        for name, loss in losses.items():
            if not self.weights[name]:
                continue
            (found,) = torch.autograd.grad(loss, [output], retain_graph=True)
            norm = float(add_up(torch.linalg.vector_norm(found.detach().float()))) / process_count()
            if norm < float("inf"):
                balanced += found * (self.scale * self.weights[name] / total / max(_LEAST, self._averaged(name, norm)))
        return balanced

    def backward(
        self, losses: Mapping[str, Tensor], output: Tensor, *, besides: Tensor | None = None
    ) -> dict[str, float]:
        """Send the balanced gradient back into the network, add it to what parameters have, and return the norms.

        Args:
            losses: scalars by name.
            output: what they were computed from, with a graph back to the parameters.
            besides: the sum of losses that are not balanced.

        Raises:
            ValueError: if a loss has no weight.
        """
        balanced = self.gradient(losses, output)
        ends, gradients = [output], [balanced]
        if besides is not None and besides.requires_grad:
            ends, gradients = [output, besides], [balanced, torch.ones_like(besides)]
        torch.autograd.backward(ends, gradients)
        return {f"norm_{name}": self.norms[name] for name in losses if name in self.norms}

    def _averaged(self, name: str, norm: float) -> float:
        seen = self._seen.get(name, 0)
        # The mean of all norms so far, until there are enough of them for the moving average.
        decay = min(self.decay, seen / (seen + 1))
        self.norms[name] = decay * self.norms.get(name, 0.0) + (1 - decay) * norm
        self._seen[name] = seen + 1
        return self.norms[name]

    def state(self) -> dict[str, Any]:
        """Return the averages so far."""
        return {"norms": dict(self.norms), "seen": dict(self._seen)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned."""
        self.norms, self._seen = dict(state["norms"]), dict(state["seen"])
