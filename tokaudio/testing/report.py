"""What a conformance check returns: every law, the number of cases it was tried on, and what broke it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tokaudio.errors import TokaudioError


@dataclass(frozen=True, slots=True)
class LawResult:
    """One law.

    Attributes:
        name: what is promised, in a few words.
        cases: how many cases held; 0 where the law does not apply.
        problem: what broke it, one line; empty if nothing did.
    """

    name: str
    cases: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ConformanceReport:
    """What was checked, and with what result.

    Attributes:
        subject: what was put to the test.
        laws: one result per law.

    Example:
        >>> print(ConformanceReport("toy", (LawResult("rerun", 3), LawResult("prefix", 1, "codebook 2 differs"))))
        toy: 1 of 2 laws broken, 4 cases
          ok      rerun (3)
          BROKEN  prefix: codebook 2 differs
    """

    subject: str
    laws: tuple[LawResult, ...]

    @property
    def cases(self) -> int:
        """Number of cases that held."""
        return sum(law.cases for law in self.laws)

    @property
    def broken(self) -> tuple[LawResult, ...]:
        """The laws that do not hold."""
        return tuple(law for law in self.laws if law.problem)

    def __str__(self) -> str:
        state = (
            f"{len(self.broken)} of {len(self.laws)} laws broken" if self.broken else f"all {len(self.laws)} laws hold"
        )
        lines = [
            f"  BROKEN  {law.name}: {law.problem}" if law.problem else f"  ok      {law.name} ({law.cases})"
            for law in self.laws
        ]
        return "\n".join([f"{self.subject}: {state}, {self.cases} cases", *lines])


class ConformanceError(TokaudioError, AssertionError):
    """A tokenizer or quantizer that breaks a law.

    Attributes:
        report: the whole report, of which the message lists the broken laws.
    """

    def __init__(self, report: ConformanceReport) -> None:
        self.report = report
        super().__init__(str(ConformanceReport(report.subject, report.broken or report.laws)))


class Broken(Exception):
    """A law does not hold; the message says where."""


# A law returns the number of cases that held, or raises `Broken`.
Law = Callable[[], int]


def require(condition: bool, problem: str) -> None:
    """Raise `Broken` with `problem` unless `condition` holds.

    Example:
        >>> require(True, "never said")
    """
    if not condition:
        raise Broken(problem)


def require_same(got: Tensor, wanted: Tensor, what: str) -> None:
    """Raise `Broken` unless both tensors have one shape, one dtype and the same bits of value everywhere.

    Example:
        >>> require_same(torch.tensor([[1, 2]]), torch.tensor([[1, 2]]), "codes on a rerun")
    """
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        raise Broken(f"{what}: {got.dtype} {list(got.shape)} instead of {wanted.dtype} {list(wanted.shape)}")
    wrong = (got != wanted).nonzero()
    if len(wrong):
        raise Broken(f"{what}: {len(wrong)} of {got.numel()} values differ, the first at {wrong[0].tolist()}")


@contextmanager
def refused(kinds: type[Exception] | tuple[type[Exception], ...], what: str, *, naming: str = "") -> Iterator[None]:
    """Raise `Broken` unless the block raises one of `kinds` with a one-line message that holds `naming`.

    Example:
        >>> with refused(ValueError, "a bad number", naming="'x'"):
        ...     int("x")
    """
    try:
        yield
    except kinds as error:
        require("\n" not in str(error), f"{what}: the message of the refusal has several lines")
        require(naming in str(error), f"{what}: the refusal does not name {naming!r}: {error}")
    else:
        raise Broken(f"{what}: was not refused")


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    """Return copies of all parameters and buffers, those included that are not saved.

    Example:
        >>> sorted(snapshot(nn.Linear(2, 3)))
        ['bias', 'weight']
    """
    return {name: value.detach().clone() for name, value in (*module.named_parameters(), *module.named_buffers())}


def require_unchanged(module: nn.Module, before: Mapping[str, Tensor], what: str) -> None:
    """Raise `Broken` if a parameter or buffer differs from a snapshot.

    Example:
        >>> layer = nn.Linear(2, 3)
        >>> require_unchanged(layer, snapshot(layer), "nothing")
    """
    for name, value in snapshot(module).items():
        require(torch.equal(value, before[name]), f"{what} changed {name!r}")


def run_laws(subject: str, laws: Mapping[str, Law], *, raises: bool) -> ConformanceReport:
    """Try every law and return the report.

    Args:
        subject: what is put to the test.
        laws: by name.
        raises: whether broken laws raise.

    Raises:
        ConformanceError: if a law is broken and `raises` is set.

    Example:
        >>> run_laws("toy", {"one and one": lambda: 2}, raises=True).cases
        2
    """
    results = []
    for name, law in laws.items():
        try:
            results.append(LawResult(name, law()))
        except Broken as broken:
            results.append(LawResult(name, 0, str(broken)))
        except Exception as error:
            text = " ".join(str(error).split())
            results.append(LawResult(name, 0, f"raised {type(error).__name__}: {text}"))
    report = ConformanceReport(subject, tuple(results))
    if raises and report.broken:
        raise ConformanceError(report)
    return report
