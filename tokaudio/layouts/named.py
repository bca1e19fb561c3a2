"""Layouts by the names that papers and command lines use."""

from __future__ import annotations

from collections.abc import Callable

from tokaudio.errors import UnknownNameError
from tokaudio.layouts.file import AnyLayout
from tokaudio.layouts.flat import FlatLayout
from tokaudio.layouts.grid import GridLayout, acoustic_delays, musicgen_delays
from tokaudio.layouts.orders import coarse_first, semantic_then_acoustic
from tokaudio.layouts.runs import RunsLayout
from tokaudio.layouts.split import SplitLayout
from tokaudio.layouts.vocabulary import Vocabulary
from tokaudio.spec import TokenizerSpec

DURATIONS = 64
Build = Callable[[TokenizerSpec, int, str], AnyLayout]


def _flatten(spec: TokenizerSpec, text_size: int, fingerprint: str) -> AnyLayout:
    return FlatLayout(spec, vocabulary=Vocabulary.for_spec(spec, text_size=text_size), fingerprint=fingerprint)


def _by_place(spec: TokenizerSpec, text_size: int, fingerprint: str) -> AnyLayout:
    vocabulary = Vocabulary.for_spec(spec, text_size=text_size, per_phase=True)
    return FlatLayout(spec, vocabulary=vocabulary, fingerprint=fingerprint)


def _coarse_first(spec: TokenizerSpec, text_size: int, fingerprint: str) -> AnyLayout:
    vocabulary = Vocabulary.for_spec(spec, text_size=text_size)
    return FlatLayout(spec, coarse_first(spec), vocabulary=vocabulary, fingerprint=fingerprint)


def _semantic_first(spec: TokenizerSpec, text_size: int, fingerprint: str) -> AnyLayout:
    vocabulary = Vocabulary.for_spec(spec, text_size=text_size)
    return FlatLayout(spec, semantic_then_acoustic(spec), vocabulary=vocabulary, fingerprint=fingerprint)


def _parallel(spec: TokenizerSpec, text_size: int, fingerprint: str) -> AnyLayout:
    return GridLayout(spec, fingerprint=fingerprint)


def _delay(spec: TokenizerSpec, text_size: int, fingerprint: str) -> AnyLayout:
    return GridLayout(spec, delays=musicgen_delays(spec.num_codebooks), fingerprint=fingerprint)


def _acoustic_delay(spec: TokenizerSpec, text_size: int, fingerprint: str) -> AnyLayout:
    return GridLayout(spec, delays=acoustic_delays(spec), fingerprint=fingerprint)


def _split(spec: TokenizerSpec, text_size: int, fingerprint: str) -> AnyLayout:
    return SplitLayout(spec, vocabulary=Vocabulary.for_spec(spec, text_size=text_size), fingerprint=fingerprint)


def _runs(spec: TokenizerSpec, text_size: int, fingerprint: str) -> AnyLayout:
    vocabulary = Vocabulary.for_spec(spec, text_size=text_size, durations=DURATIONS)
    return RunsLayout(spec, vocabulary=vocabulary, fingerprint=fingerprint)


_BUILDS: dict[str, Build] = {
    "flatten": _flatten,
    "flatten-by-place": _by_place,
    "coarse-first": _coarse_first,
    "semantic-then-acoustic": _semantic_first,
    "parallel": _parallel,
    "delay": _delay,
    "acoustic-delay": _acoustic_delay,
    "split": _split,
    "runs": _runs,
}
LAYOUT_NAMES = tuple(_BUILDS)


def make_layout(name: str, spec: TokenizerSpec, *, text_size: int = 0, fingerprint: str = "") -> AnyLayout:
    """Return a layout by its name, with the special ids bos, eos, pad and sep.

    Args:
        name: one of `LAYOUT_NAMES`: `flatten`, `flatten-by-place` (ids for each place, as Orpheus has for SNAC),
            `coarse-first`, `semantic-then-acoustic`, `parallel`, `delay` (MusicGen), `acoustic-delay` (Moshi),
            `split` (VALL-E), `runs`.
        spec: of the tokenizer.
        text_size: ids of a text tokenizer in front; rows of bare codes (`parallel` and the delays) have none.
        fingerprint: of the tokenizer's weights.

    Raises:
        UnknownNameError: a name that is none of them.
        TokensError: a tokenizer that the layout is not for.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 2)
        >>> make_layout("delay", spec)
        GridLayout(toy, delays=[0, 1], before=8, after=8, 20 ids)
    """
    if name not in _BUILDS:
        raise UnknownNameError(f"no layout is called {name!r}; there are {', '.join(LAYOUT_NAMES)}")
    return _BUILDS[name](spec, text_size, fingerprint)
