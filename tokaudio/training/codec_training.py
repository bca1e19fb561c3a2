"""One step of training a codec: any body, any quantizer, and the losses of a recipe.

Networks may run in bfloat16; quantizer and losses are in float32. With several processes (`torch.distributed`) each
hears its share of the batch, and all take the steps that one would on the joined batch.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tokaudio.quantizers import Quantizer
from tokaudio.quantizers.processes import add_up, from_first, process_count, process_rank
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.training.batches import Batches
from tokaudio.training.bodies import About, Body, QuantizerChoice, make_body
from tokaudio.training.descent import Descent
from tokaudio.training.labels import UNLABELLED, Labels
from tokaudio.training.objectives import Heard, Objectives
from tokaudio.training.recipe import Recipe


class CodecNets(nn.Module):
    """What is trained together: body, quantizer, and what the losses have of their own."""

    def __init__(self, body: Body, quantizer: Quantizer, objectives: Objectives) -> None:
        super().__init__()
        self.body, self.quantizer, self.objectives = body, quantizer, objectives


def make_nets(recipe: Recipe, labels: Labels = UNLABELLED) -> tuple[CodecNets, QuantizerChoice]:
    """Return the networks of a recipe at their start, and what the quantizer is made from.

    Args:
        recipe: what to make.
        labels: of phones and speakers that heads tell apart.

    Raises:
        CheckpointError: if body and quantizer cannot be made like this, or do not go together in a tokenizer.
        UnknownNameError: if a name does not exist.
    """
    from tokaudio.training.fine_tuning import fine_tune

    torch.manual_seed(recipe.seed)
    given = None if recipe.quantizer is None else QuantizerChoice(recipe.quantizer.name, _seeded(recipe))
    if recipe.start_from:
        from_weights = Tokenizer.from_pretrained(recipe.start_from)
        start = fine_tune(from_weights, quantizer=given, weight_norm=recipe.weight_norm)
        body, quantizer, choice = start.body, start.quantizer, start.choice
    else:
        assert recipe.body and given
        body, choice = make_body(recipe.body.name, recipe.body.options), given
        quantizer = choice.make(body.dim)
    body.tokenizer(quantizer, choice, About(recipe.name))
    return CodecNets(body, quantizer, Objectives(recipe.losses, body, labels)), choice


def _seeded(recipe: Recipe) -> dict[str, Any]:
    """Return the options of the quantizer, with the recipe's seed where it takes one and none is given."""
    import inspect

    from tokaudio.quantizers.registry import QUANTIZERS

    assert recipe.quantizer
    options, kind = recipe.quantizer.options, QUANTIZERS.get(recipe.quantizer.name)
    takes = kind is not None and "seed" in inspect.signature(kind).parameters
    return {"seed": recipe.seed, **options} if takes else dict(options)


class CodecTraining:
    """Trains a codec; a `Trainable` for the loop.

    Args:
        recipe: what to do.
        nets: from `make_nets`.
        choice: what their quantizer was made from.
        batches: of crops at the body's rate.
        device: where to compute.

    Attributes:
        quantizing: whether the codebooks are set.
    """

    def __init__(
        self,
        recipe: Recipe,
        nets: CodecNets,
        choice: QuantizerChoice,
        batches: Batches,
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        self.recipe, self.nets, self.choice, self.batches = recipe, nets.to(device), choice, batches
        self.device = torch.device(device)
        with torch.no_grad():
            for parameter in nets.parameters():
                parameter.copy_(from_first(parameter))
        self.descent = Descent(self.nets, average=recipe.average, clip_norm=recipe.clip_norm)
        self.quantizing = bool(recipe.start_from) and recipe.quantizer is None

    def step(self, generator: torch.Generator, step: int, rate: float) -> dict[str, float]:
        """Take one optimizer step and return figures to log."""
        torch.manual_seed(int(torch.randint(0, 2**31, (), generator=generator)))
        if not self.quantizing and step >= self.recipe.continuous_steps:
            self.start_quantizing()
        self.nets.train()
        batch = self.batches.labelled(step).to(self.device)
        heard, figures = self.hear(batch.signal)
        heard = replace(heard, phones=batch.phones if batch.phones.numel() else None, speakers=batch.speakers)
        self.descent.forget()
        figures |= self.nets.objectives.backward(heard, step, rate)
        if process_count() > 1:
            average_gradients([*self.nets.parameters()])
        self.descent.follow(rate=rate, step=step)
        return figures

    def hear(self, signal: Tensor) -> tuple[Heard, dict[str, float]]:
        """Return what becomes of signals `[B, S]`, and what the quantizer says of it."""
        nets, half = self.nets, self.recipe.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            latents = nets.body.encode(signal)
        latents = latents.float()
        figures: dict[str, float] = {}
        quantized, codes, asked = latents, None, None
        if self.quantizing:
            out = nets.quantizer(latents, num_codebooks=self._depth(len(latents)))
            quantized, codes, asked = out.quantized, out.codes, out.loss
            figures = {name: value.item() for name, value in out.stats.items()}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            made = nets.body.decode(quantized)
        return Heard(signal, made.float(), latents, quantized, codes, asked, nets.quantizer), figures

    def _depth(self, batch: int) -> Tensor | None:
        """Return this process's part of the numbers of codebooks that are drawn for all items; None to leave it be."""
        dropout = getattr(self.nets.quantizer, "dropout", 0.0)
        if process_count() == 1 or not isinstance(dropout, float) or not dropout or not self.nets.training:
            return None
        drawn = self.nets.quantizer.draw_depth(batch * process_count(), None, dropout=dropout)
        return drawn[process_rank() * batch :][:batch]

    @torch.no_grad()
    def start_quantizing(self) -> None:
        """Set the codebooks from the latents of batches that no step hears."""
        self.nets.eval()
        batches = self.batches.initial(self.recipe.initial_batches)
        rows = [self.nets.body.encode(batch.to(self.device)).float() for batch in batches]
        self.nets.quantizer.initialise(torch.cat([part.transpose(1, 2).flatten(0, 1) for part in rows]))
        self.quantizing = True

    @contextmanager
    def averaging(self) -> Iterator[None]:
        """Have the averaged weights in the networks, in eval mode, inside the block."""
        own = {name: value.detach().clone() for name, value in self.nets.named_parameters()}
        self._give(self.descent.averaged)
        self.nets.eval()
        try:
            yield
        finally:
            self._give(own)

    @torch.no_grad()
    def _give(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self.nets.named_parameters():
            parameter.copy_(values[name])

    def tokenizer(self, origin: str = "") -> Tokenizer:
        """Return a tokenizer with copies of the averaged weights, rounded to float16, on the CPU."""
        semantic = self.recipe.losses.semantic.weight > 0
        told = origin or f"trained with tokaudio train, recipe {self.recipe.name}"
        kind = "hybrid" if semantic else "compression"
        about = About(self.recipe.name, kind=kind, licence=self.recipe.licence, origin=told)  # type: ignore[arg-type]
        with self.averaging():
            body, quantizer = copy.deepcopy(self.nets.body).cpu(), copy.deepcopy(self.nets.quantizer).cpu()
        made = body.tokenizer(quantizer, self.choice, about)
        made.load_state_dict(
            {name: v.half().float() if v.is_floating_point() else v for name, v in made.state_dict().items()}
        )
        return made

    def state(self) -> dict[str, Any]:
        """Return everything that resuming needs."""
        return {
            **self.descent.state(),
            "codebooks": self.nets.quantizer.learning_state(),
            "objectives": self.nets.objectives.extra(),
            "quantizing": self.quantizing,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.descent.load_state(state)
        self.nets.quantizer.load_learning_state(state["codebooks"])
        self.nets.objectives.load_extra(state["objectives"])
        self.quantizing = bool(state["quantizing"])


@torch.no_grad()
def average_gradients(parameters: list[nn.Parameter]) -> None:
    """Give every process the mean of the gradients of all; a parameter without one counts as zero."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    together = add_up(torch.cat([gradient.flatten() for gradient in gradients])) / process_count()
    for gradient, part in zip(gradients, together.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
