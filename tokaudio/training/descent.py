"""Gradient descent with averaged weights: what trainings of one network share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Descent:
    """AdamW on a network, with gradients of limited norm and a moving average of the weights, which is what is kept.

    Args:
        net: that learns.
        average: decay of the averaged weights; a young average forgets faster.
        clip_norm: gradients are scaled down to this norm.

    Attributes:
        averaged: the averaged parameters, by name.

    Example:
        >>> net = nn.Linear(1, 1)
        >>> descent = Descent(net)
        >>> descent.step(net(torch.ones(1, 1)).square().sum(), rate=0.1, step=0)
        >>> sorted(descent.averaged)
        ['bias', 'weight']
    """

    def __init__(self, net: nn.Module, *, average: float = 0.999, clip_norm: float = 5.0) -> None:
        self.net, self.average, self.clip_norm = net, average, clip_norm
        # Fused: one pass over each weight instead of eight.
        self.optimizer = torch.optim.AdamW(net.parameters(), lr=0.0, betas=(0.9, 0.99), weight_decay=1e-3, fused=True)
        self.averaged = {name: value.detach().clone() for name, value in net.named_parameters()}

    def step(self, loss: Tensor, *, rate: float, step: int) -> None:
        """Take one step downhill; one with gradients that are not finite is left out."""
        self.forget()
        loss.backward()  # type: ignore[no-untyped-call]
        self.follow(rate=rate, step=step)

    def forget(self) -> None:
        """Drop the gradients that parameters have."""
        self.optimizer.zero_grad(set_to_none=True)

    def follow(self, *, rate: float, step: int) -> None:
        """Take one step along the gradients that parameters have; not where they are not finite."""
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), self.clip_norm)
        if not bool(torch.isfinite(norm)):
            return
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        decay = min(self.average, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, value in self.net.named_parameters():
                self.averaged[name].lerp_(value, 1 - decay)

    def state(self) -> dict[str, Any]:
        """Return weights, averages, and what the optimizer remembers."""
        return {"net": self.net.state_dict(), "averaged": self.averaged, "optimizer": self.optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.net.load_state_dict(state["net"])
        devices = {name: value.device for name, value in self.net.named_parameters()}
        self.averaged = {name: value.to(devices[name], copy=True) for name, value in state["averaged"].items()}
        self.optimizer.load_state_dict(state["optimizer"])


def averaged_weights(state: dict[str, Any]) -> dict[str, Tensor]:
    """Return the weights to keep of what `Descent.state` returned: averaged where there is an average."""
    return {name: state["averaged"].get(name, value) for name, value in state["net"].items()}
