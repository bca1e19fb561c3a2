"""What a task's probe reads: the tokens, and everything that their score stands beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.typing import NDArray

from tokaudio.probes.data.extraction import Extraction
from tokaudio.probes.models.classifying import ProbeConfig
from tokaudio.probes.models.inputs import CodeInputs, Inputs
from tokaudio.probes.runs import Runner
from tokaudio.probes.tasks.base import TaskOptions

Array = NDArray[Any]
RUNS_WITHOUT_FLOORS = 3
"""References that are run on few seeds: log-mel, the untrained encoder and random tokens."""


@dataclass(frozen=True)
class Readings:
    """The runs of one task on one tokenizer, whatever the task.

    Attributes:
        source: of everything that is read.
        options: how much is run.
        runner: does the runs.
        config: of the probe.
        data: hash of what is trained and tested on.
    """

    source: Extraction
    options: TaskOptions
    runner: Runner
    config: ProbeConfig
    data: str

    def codes(self) -> CodeInputs:
        """Return the tokenizer's codes, with its codebooks to start from if that is asked for."""
        return self.source.codes(tables=self.options.initial == "codebooks")

    def run(self, inputs: Inputs, seed: int, purpose: str, compute: Callable[[], Array]) -> Array:
        """Do one run, or find that it was done."""
        return self.runner.run(self.facts(inputs, seed, purpose), compute)

    def facts(self, inputs: Inputs, seed: int, purpose: str) -> dict[str, Any]:
        """Return everything that a run depends on."""
        own = "" if inputs.name == "log_mel" else f"{self.source.tokenizer.fingerprint}-{self.source.num_codebooks}"
        tables = "tables" if isinstance(inputs, CodeInputs) and inputs.tables is not None else ""
        return {
            "purpose": purpose,
            "inputs": f"{inputs.name}-{own}-{tables}",
            "config": repr(self.config),
            "data": self.data,
            "seed": seed,
        }

    def all(self, compute: Callable[[Inputs, int], Array]) -> dict[str, dict[int, Array]]:
        """Return what a run gives, for tokens and for every reference, by seed; as many seeds as there is time for.

        Args:
            compute: fits a probe to inputs with a seed, and returns what it says of the test set.
        """
        seeds = self.options.seeds
        few = seeds[: self.options.reference_seeds]
        codes = self.codes()
        readers: Mapping[str, tuple[Callable[[], Inputs], tuple[int, ...]]] = {
            "tokens": ((lambda: codes) if self.options.reads == "tokens" else self.source.embedded, seeds),
            "continuous": (self.source.features, seeds if few else ()),
            "log_mel": (self.source.log_mel, few),
            "untrained_encoder": (self.source.untrained, few),
            "random_tokens": (self.source.random, few),
        }
        found: dict[str, dict[int, Array]] = {name: {} for name, (_, own) in readers.items() if own}
        # The first seed of everything comes before the second of anything.
        self._runs(found, readers, seeds[:1], compute)
        for some in self.runner.in_time(seeds[1:]):
            self._runs(found, readers, some, compute)
        return found

    def _runs(
        self,
        found: dict[str, dict[int, Array]],
        readers: Mapping[str, tuple[Callable[[], Inputs], tuple[int, ...]]],
        seeds: Sequence[int],
        compute: Callable[[Inputs, int], Array],
    ) -> None:
        places = [(name, seed) for seed in seeds for name, (_, own) in readers.items() if seed in own]
        runs = []
        for name, seed in places:
            inputs = readers[name][0]()
            runs.append((self.facts(inputs, seed, "plain"), partial(compute, inputs, seed)))
        for (name, seed), array in zip(places, self.runner.run_all(runs), strict=True):
            found[name][seed] = array

    def on_codes(self, purposes: Mapping[str, Callable[[CodeInputs], Array]]) -> dict[str, Array]:
        """Return what runs on codes with the first seed give, by purpose; as many as there is time for."""
        codes, seed, found = self.codes(), self.options.seeds[0], dict[str, Array]()
        for some in self.runner.in_time(list(purposes)):
            runs = [(self.facts(codes, seed, purpose), partial(purposes[purpose], codes)) for purpose in some]
            found |= dict(zip(some, self.runner.run_all(runs), strict=True))
        return found

    def note(self, seeds: int) -> list[str]:
        """Return what the reader ought to know of so many seeds."""
        asked = len(self.options.seeds)
        return [f"time allowed {seeds} of {asked} seeds"] if seeds < asked else []


def planned_runs(options: TaskOptions, *, floors: int) -> int:
    """Return how many runs `Readings.all` has, and so many others.

    Example:
        >>> planned_runs(TaskOptions(seeds=(0, 1), reference_seeds=1), floors=2)
        9
        >>> planned_runs(TaskOptions(seeds=(0, 1), reference_seeds=0), floors=0)
        2
    """
    few = min(options.reference_seeds, len(options.seeds))
    return (2 if few else 1) * len(options.seeds) + RUNS_WITHOUT_FLOORS * few + floors
