"""Fields of published configurations, read one by one: missing and impossible ones are refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tokaudio.catalogue import find
from tokaudio.errors import CheckpointError, UnknownNameError, one_line

# No published network comes near; a damaged configuration must not ask for all memory.
_MOST = 2**20


class Fields:
    """The fields of a configuration.

    Args:
        values: as the file has them.
        where: the file, for messages.

    Example:
        >>> fields = Fields({"n_q": 8, "strides": [8, 5]}, "config.json")
        >>> fields.whole("n_q"), fields.wholes("strides")
        (8, (8, 5))
    """

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values, self.where = values, where

    def get(self, name: str) -> Any:
        """Return a field as it is.

        Raises:
            CheckpointError: if it is missing.
        """
        if name not in self.values:
            problem = f"has no field {name!r} in its configuration"
            raise CheckpointError(one_line(self.where, problem, "get the configuration that belongs to the weights"))
        return self.values[name]

    def whole(self, name: str, *, minimum: int = 1) -> int:
        """Return a whole number of at least `minimum`."""
        value = self.get(name)
        if not _is_whole(value, minimum):
            self._refuse(name, f"a whole number from {minimum} to {_MOST}")
        return int(value)

    def wholes(self, name: str, *, minimum: int = 1) -> tuple[int, ...]:
        """Return a list of 1 to 16 whole numbers."""
        value = self.get(name)
        if not isinstance(value, Sequence) or isinstance(value, str) or not 1 <= len(value) <= 16:
            self._refuse(name, "a list of 1 to 16 whole numbers")
        if not all(_is_whole(item, minimum) for item in value):
            self._refuse(name, f"a list of whole numbers from {minimum} to {_MOST}")
        return tuple(value)

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self.get(name)
        if not isinstance(value, bool):
            self._refuse(name, "true or false")
        return bool(value)

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """Return one of several words."""
        value = self.get(name)
        if value not in choices:
            self._refuse(name, f"one of {', '.join(choices)}")
        return str(value)

    def section(self, name: str) -> Fields:
        """Return the fields inside a field."""
        value = self.get(name)
        if not isinstance(value, Mapping):
            self._refuse(name, "fields of its own")
        return Fields(value, self.where)

    def _refuse(self, name: str, wanted: str) -> None:
        shown = ascii(self.values[name])
        problem = f"has {name} {shown if len(shown) <= 60 else shown[:57] + '...'} in its configuration"
        raise CheckpointError(one_line(self.where, problem, f"it must be {wanted}"))


def _is_whole(value: object, minimum: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= _MOST


class Facts(NamedTuple):
    """What no file says about a tokenizer: the arguments of the same names of a spec."""

    name: str
    licence: str = ""
    paper: str = ""
    origin: str = ""


def known_facts(name: str) -> Facts:
    """Return what the catalogue knows about a tokenizer of a name or a repository; else its name only.

    Example:
        >>> known_facts("fnlp/SpeechTokenizer").paper, known_facts("somewhere")
        ('arXiv:2308.16692', Facts(name='somewhere', licence='', paper='', origin=''))
    """
    try:
        entry = find(name)
    except UnknownNameError:  # a repository of several
        entry = None
    if entry is None:
        return Facts(name)
    spec = entry.spec
    return Facts(spec.name, spec.licence, spec.paper, spec.origin)
