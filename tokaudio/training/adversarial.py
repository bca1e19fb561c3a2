"""What discriminators and a generator minimise against each other.

All functions take lists of judgements, as `Discriminators` gives them, and return the mean over discriminators: hinge
losses as in EnCodec (arXiv:2210.13438, section 3.4), least squares as in HiFi-GAN (arXiv:2010.05646, section 2.4).
Means are taken in float32, whatever the discriminators computed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.quantizers.processes import add_up, from_first, process_count
from tokaudio.training.discriminators import Discriminators, Judgement

Kind = Literal["hinge", "least-squares"]


def discriminator_loss(real: Sequence[Judgement], fake: Sequence[Judgement], *, kind: Kind = "hinge") -> Tensor:
    """Return what discriminators minimise: high scores for what is real, low ones for what is made.

    Args:
        real: judgements of recordings.
        fake: judgements of what the generator made, detached from it.
        kind: `hinge` stops at scores of 1 and -1; `least-squares` draws to 1 and 0.

    Raises:
        ValueError: if there is no judgement, another number of them, or another kind.

    Example:
        >>> sure, fooled = Judgement(torch.full((1, 4), 2.0), []), Judgement(torch.zeros(1, 4), [])
        >>> discriminator_loss([sure], [fooled]).item(), discriminator_loss([fooled], [sure]).item()
        (1.0, 4.0)
    """
    _require(real, fake, kind=kind)
    if kind == "hinge":
        losses = [_mean(F.relu(1 - r.score)) + _mean(F.relu(1 + f.score)) for r, f in zip(real, fake, strict=True)]
    else:
        losses = [_mean((1 - r.score).square()) + _mean(f.score.square()) for r, f in zip(real, fake, strict=True)]
    return torch.stack(losses).mean()


def generator_loss(fake: Sequence[Judgement], *, kind: Kind = "hinge") -> Tensor:
    """Return what a generator minimises: scores of what it made that are below 1 (`hinge`), or are not 1.

    Raises:
        ValueError: if there is no judgement, or another kind.

    Example:
        >>> generator_loss([Judgement(torch.tensor([[-1.0, 3.0]]), [])]).item()
        1.0
    """
    _require(fake, kind=kind)
    if kind == "hinge":
        return torch.stack([_mean(F.relu(1 - judgement.score)) for judgement in fake]).mean()
    return torch.stack([_mean((1 - judgement.score).square()) for judgement in fake]).mean()


def feature_matching_loss(real: Sequence[Judgement], fake: Sequence[Judgement], *, relative: bool = True) -> Tensor:
    """Return the mean L1 distance of what all layers see in recordings and in what was made of them.

    Args:
        real: judgements of recordings; no gradient flows there.
        fake: judgements of the reconstructions, in the same order.
        relative: divide by the mean size of what each layer sees (EnCodec, equation 3), or loud layers decide alone.

    Raises:
        ValueError: if there is no judgement, or another number of them.

    Example:
        >>> recording, made = ([Judgement(torch.zeros(1), [torch.full((1, 3), level)])] for level in (4.0, 1.0))
        >>> feature_matching_loss(recording, made).item(), feature_matching_loss(recording, made, relative=False).item()
        (0.75, 3.0)
    """
    _require(real, fake)
    distances = []
    for wanted, found in zip(real, fake, strict=True):
        for target, estimate in zip(wanted.features, found.features, strict=True):
            distance = _mean((target.detach() - estimate).abs())
            size = _mean(target.detach().abs()).clamp_min(1e-8)
            distances.append(distance / size if relative else distance)
    return torch.stack(distances).mean()


@dataclass(frozen=True, slots=True)
class AdversaryOptions:
    """How an adversary learns and judges.

    Attributes:
        kind: of the losses.
        rate: learning rate of the discriminators, as a share of the generator's.
        betas: of their AdamW (HiFi-GAN, section 3).
        clip_norm: their gradients are scaled down to this norm.
        every: the discriminators learn at every so-many-th step only.
    """

    kind: Kind = "hinge"
    rate: float = 1.0
    betas: tuple[float, float] = (0.8, 0.99)
    clip_norm: float = 10.0
    every: int = 1


class Adversary:
    """Discriminators with their optimizer: learns to tell recordings from reconstructions, and says what it noticed.

    With several processes (`torch.distributed`) the discriminators start as those of the first, and all take the same
    steps, as one would on the joined batch.

    Args:
        judges: the discriminators.
        options: how they learn.

    Example:
        >>> from tokaudio.training.discriminators import DiscriminatorSizes
        >>> adversary = Adversary(Discriminators(DiscriminatorSizes.small()))
        >>> recording, made = torch.randn(2, 1600), torch.zeros(2, 1600, requires_grad=True)
        >>> sorted(adversary.learn(recording, made, rate=1e-4, step=0))
        ['discriminator']
        >>> sorted(adversary.losses(recording, made))
        ['adversarial', 'features']
    """

    def __init__(self, judges: Discriminators, *, options: AdversaryOptions = AdversaryOptions()) -> None:
        self.judges, self.options = judges, options
        with torch.no_grad():
            for parameter in judges.parameters():
                parameter.copy_(from_first(parameter))
        self.optimizer = torch.optim.AdamW(judges.parameters(), lr=0.0, betas=options.betas, weight_decay=1e-3)

    def learn(self, real: Tensor, fake: Tensor, *, rate: float, step: int) -> dict[str, float]:
        """Take one step of the discriminators and return figures to log, none where they do not learn.

        A step with gradients that are not finite is left out.

        Args:
            real: recordings `[B, S]`.
            fake: reconstructions `[B, S]`; nothing flows back to where they come from.
            rate: learning rate of the generator.
            step: its number.
        """
        if step % self.options.every:
            return {}
        self.judges.requires_grad_(True)
        loss = discriminator_loss(self.judges(real), self.judges(fake.detach()), kind=self.options.kind)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if process_count() > 1:
            _average_gradients(self.judges)
        norm = nn.utils.clip_grad_norm_(self.judges.parameters(), self.options.clip_norm)
        if bool(torch.isfinite(norm)):
            for group in self.optimizer.param_groups:
                group["lr"] = rate * self.options.rate
            self.optimizer.step()
        return {"discriminator": loss.item()}

    def losses(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Return what the generator is to minimise, `adversarial` and `features`, of signals `[B, S]`.

        Gradients flow to `fake` only: the discriminators are not asked to follow the generator.
        """
        self.judges.requires_grad_(False)
        with torch.no_grad():
            wanted = self.judges(real)
        found = self.judges(fake)
        return {
            "adversarial": generator_loss(found, kind=self.options.kind),
            "features": feature_matching_loss(wanted, found),
        }

    def state(self) -> dict[str, Any]:
        """Return weights, and what the optimizer remembers."""
        return {"judges": self.judges.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.judges.load_state_dict(state["judges"])
        self.optimizer.load_state_dict(state["optimizer"])


def _mean(values: Tensor) -> Tensor:
    return values.mean(dtype=torch.float32)


def _average_gradients(module: nn.Module) -> None:
    """Give every process the mean of the gradients of all."""
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    together = add_up(torch.cat([gradient.flatten() for gradient in gradients])) / process_count()
    for gradient, part in zip(gradients, together.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def _require(*sides: Sequence[Judgement], kind: Kind = "hinge") -> None:
    if kind not in ("hinge", "least-squares"):
        raise ValueError(f"the kind of loss is {kind!r}; give 'hinge' or 'least-squares'")
    if not sides[0] or len({len(side) for side in sides}) > 1:
        raise ValueError(
            f"there are {' and '.join(str(len(side)) for side in sides)} judgements; give as many, not none"
        )
