"""All losses of a recipe: what they say of a batch, and the gradients that they send back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from tokaudio.errors import CheckpointError, one_line
from tokaudio.quantizers import Quantizer
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.training.adversarial import Adversary, AdversaryOptions
from tokaudio.training.balancer import GradientBalancer
from tokaudio.training.bodies import Body
from tokaudio.training.discriminators import Discriminators, DiscriminatorSizes
from tokaudio.training.heads import Heads, measure
from tokaudio.training.labels import UNLABELLED, Labels
from tokaudio.training.losses import SpectralLoss
from tokaudio.training.recipe import LossOptions, SemanticOptions
from tokaudio.training.semantic_loss import SemanticLoss, first_vectors
from tokaudio.training.semantic_teacher import TokenizerTeacher, load_teacher


class Teacher(Protocol):
    """Gives features of sound."""

    width: int
    frame_rate: Any

    def __call__(self, signal: Tensor) -> Tensor:
        """Return features `[B, E, T]` of signals `[B, S]`."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of a batch.

    Attributes:
        signal: what was given `[B, S]`.
        made: what came out `[B, S]`.
        latents, quantized: before and after the quantizer `[B, D, T]`; the same before it is used.
        codes: `[B, K, T]`; None before.
        asked: the quantizer's loss; None before.
        quantizer: which it was.
        phones, speakers: what labels say `[B, T]` and `[B]`, -1 where they say nothing; None without labels.
    """

    signal: Tensor
    made: Tensor
    latents: Tensor
    quantized: Tensor
    codes: Tensor | None
    asked: Tensor | None
    quantizer: Quantizer
    phones: Tensor | None = None
    speakers: Tensor | None = None


class Objectives(nn.Module):
    """The losses of a recipe, with the networks that some of them have.

    Args:
        options: which losses, with their weights.
        body: whose rates they are at.
        labels: of phones and speakers that heads tell apart.

    Raises:
        CheckpointError: if the teacher hears another rate.
    """

    def __init__(self, options: LossOptions, body: Body, labels: Labels = UNLABELLED) -> None:
        super().__init__()
        self.options, self.rate = options, body.sample_rate
        self.spectral = SpectralLoss(
            body.sample_rate,
            windows=options.windows,
            complex_windows=options.complex_windows,
            overlap=options.overlap,
        )
        self.heads: Heads | None = None
        if options.heads.weight:
            phones, speakers = len(labels.phones), len(labels.speakers)
            self.heads = Heads(body.dim, phones=phones, speakers=speakers, hidden=options.heads.hidden)
        self.semantic: SemanticLoss | None = None
        self._teacher: list[Callable[[Tensor], Tensor]] = []
        if options.semantic.weight:
            teacher = make_teacher(options.semantic, body.sample_rate)
            ratio = teacher.frame_rate * body.hop_length / body.sample_rate
            self.semantic = SemanticLoss(body.dim, teacher.width, kind=options.semantic.kind, ratio=ratio)
            self._teacher = [teacher]
        self._adversary = _make_adversary(options)
        told = options.adversarial
        shares = {"spectral": told.spectral, "adversarial": told.weight, "features": told.features}
        self._balancer = GradientBalancer(shares) if told.weight and told.balanced else None

    def backward(self, heard: Heard, step: int, rate: float) -> dict[str, float]:
        """Send the gradients of all losses back, let the discriminators learn, and return figures to log.

        Args:
            heard: the batch.
            step: its number.
            rate: learning rate of the codec.
        """
        loss, parts = self.spectral(heard.made, heard.signal, weights=self.options.weights_at(step))
        figures = {"loss": loss.item()} | {name: value.item() for name, value in parts.items()}
        besides, told = self._besides(heard, step)
        figures |= told
        losses = {"spectral": loss}
        options = self.options.adversarial
        if self._adversary is not None and step >= options.from_step:
            figures |= self._adversary.learn(heard.signal, heard.made, rate=rate, step=step)
            losses |= self._adversary.losses(heard.signal, heard.made)
            figures |= {name: value.item() for name, value in losses.items() if name != "spectral"}
        if self._balancer is not None:
            self._balancer.backward(losses, heard.made, besides=besides)
            return figures
        weights = {"spectral": 1.0, "adversarial": options.weight, "features": options.features}
        total = besides
        for name, value in losses.items():
            total = total + weights[name] * value
        total.backward()  # type: ignore[no-untyped-call]
        return figures

    def _besides(self, heard: Heard, step: int) -> tuple[Tensor, dict[str, float]]:
        """Return the sum of what does not depend on the sound that comes out, and figures."""
        total, figures, options = heard.made.new_zeros(()), {}, self.options
        if heard.asked is not None:
            total = total + options.commitment * heard.asked
            figures["commitment"] = heard.asked.item()
        if self.semantic is not None and step >= options.semantic.from_step:
            first = heard.latents
            if heard.codes is not None:
                first = first_vectors(heard.quantizer, heard.latents, heard.codes)
            taught = self.semantic(first, self._teacher[0](heard.signal))
            total = total + options.semantic.weight * taught
            figures["semantic"] = taught.item()
        if self.heads is not None and step >= options.heads.from_step:
            labels = {"phones": heard.phones, "speakers": heard.speakers}
            targets = measure(heard.signal, self.rate, frames=heard.latents.shape[-1], **labels)
            asked, parts = self.heads.loss(heard.quantized, targets)
            total = total + options.heads.weight * asked
            figures |= {"heads": asked.item()} | {f"head_{name}": part.item() for name, part in parts.items()}
        return total, figures

    def _apply(self, fn: Any, recurse: bool = True) -> Objectives:
        if self._adversary is not None:
            self._adversary.judges._apply(fn)
        result: Objectives = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return result

    def extra(self) -> dict[str, Any]:
        """Return what is not among the parameters of the codec: discriminators and balancer."""
        return {
            "adversary": {} if self._adversary is None else self._adversary.state(),
            "balancer": {} if self._balancer is None else self._balancer.state(),
        }

    def load_extra(self, state: dict[str, Any]) -> None:
        """Restore what `extra` returned."""
        if self._adversary is not None:
            self._adversary.load_state(state["adversary"])
        if self._balancer is not None:
            self._balancer.load_state(state["balancer"])


def _make_adversary(options: LossOptions) -> Adversary | None:
    told = options.adversarial
    if not told.weight:
        return None
    sizes = DiscriminatorSizes.small() if told.sizes == "small" else DiscriminatorSizes()
    return Adversary(Discriminators(sizes), options=AdversaryOptions(rate=told.rate, every=told.every))


def make_teacher(options: SemanticOptions, sample_rate: int) -> Teacher:
    """Return the teacher of a recipe.

    Raises:
        CheckpointError: if it hears another rate than `sample_rate`.
    """
    kind, _, name = options.teacher.rpartition("tokenizer:")
    teacher: Teacher
    if kind == "" and options.teacher.startswith("tokenizer:"):
        tokenizer = Tokenizer.from_pretrained(name)
        teacher, rate = TokenizerTeacher(tokenizer), tokenizer.spec.sample_rate
    else:
        teacher, rate = load_teacher(options.teacher, layers=options.layers), 16_000
    if rate != sample_rate:
        problem = f"hears {rate} Hz, and the body {sample_rate} Hz"
        raise CheckpointError(one_line(f"teacher {options.teacher}", problem, f"give the body {rate} Hz"))
    return teacher
