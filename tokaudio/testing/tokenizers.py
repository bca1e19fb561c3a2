"""The promises of every tokenizer, as a list of laws."""

from __future__ import annotations

import copy
import functools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tokaudio.quantizers import Quantizer
from tokaudio.testing import _exactness, _safety, _streaming, _structure
from tokaudio.testing._case import Case
from tokaudio.testing.quantizers import check_quantizer
from tokaudio.testing.report import ConformanceReport, require, run_laws
from tokaudio.tokenizers.base import Tokenizer


def _quantizer(case: Case) -> int:
    """The quantizer, where the tokenizer has one, keeps the laws of quantizers."""
    quantizer = getattr(case.tokenizer, "quantizer", None)
    if not isinstance(quantizer, Quantizer):
        return 0
    report = check_quantizer(copy.deepcopy(quantizer), residual=case.residual, seed=case.seed, raises=False)
    require(not report.broken, "; ".join(f"{law.name}: {law.problem}" for law in report.broken))
    return report.cases


LAWS: dict[str, Callable[[Case], int]] = {
    "rerun": _exactness.rerun,
    "fresh process": _exactness.fresh_process,
    "threads": _exactness.threads,
    "batch composition": _exactness.batches,
    "right padding": _exactness.padding,
    "token files": _exactness.container,
    "audio files": _exactness.files,
    "streaming encode": _streaming.encode_pieces,
    "encode_blocks": _streaming.encode_blocks,
    "streaming decode": _streaming.decode_pieces,
    "decode_blocks": _streaming.decode_blocks,
    "interleaved streams": _streaming.interleaved,
    "lengths": _structure.lengths,
    "prefix": _structure.prefix,
    "vectors": _structure.vectors,
    "modes": _safety.modes,
    "precisions": _safety.precisions,
    "damaged weights": _safety.damaged_weights,
    "foreign tokens": _safety.foreign_tokens,
    "bad input": _safety.bad_input,
    "hard sounds": _safety.hard_sounds,
    "quantizer": _quantizer,
}


def check_tokenizer(
    tokenizer: Tokenizer,
    *,
    residual: bool = True,
    longest: float = 6.3,
    thorough: bool = False,
    only: Sequence[str] | None = None,
    imports: Sequence[str] = (),
    seed: int = 0,
    raises: bool = True,
) -> ConformanceReport:
    """Put a tokenizer through every promise that tokaudio makes.

    Codes are compared at level A: every one identical. Laws about pieces do not apply where `spec.chunking` is
    `"none"`. The tokenizer is left as it was found.

    Args:
        tokenizer: to be checked; must be one that `save_pretrained` and `from_pretrained` know.
        residual: whether the first k codebooks are an encoding of their own.
        longest: seconds of the longest clip; should be more than the tokenizer handles in one go.
        thorough: try every length up to 5,000 samples, 200 long ones, and many more cuts and batches.
        only: names of the laws to try; None for all.
        imports: modules that a fresh process has to import before it can load the tokenizer.
        seed: of the sounds and of all random choices.
        raises: whether broken laws raise; otherwise they are only reported.

    Returns:
        Every law with the number of cases that held.

    Raises:
        ConformanceError: if a law is broken.

    Example:
        >>> print(check_tokenizer(Tokenizer.from_pretrained("mini-codec"), only=["foreign tokens"]))
        mini-codec: all 1 laws hold, 6 cases
          ok      foreign tokens (6)
    """
    names = list(LAWS) if only is None else list(only)
    with tempfile.TemporaryDirectory() as folder:
        case = Case(tokenizer, Path(folder), longest, seed, residual, thorough, tuple(imports))
        laws = {name: functools.partial(LAWS[name], case) for name in names}
        return run_laws(tokenizer.spec.name, laws, raises=raises)
