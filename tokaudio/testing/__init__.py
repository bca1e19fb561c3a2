"""The public conformance kit: put any tokenizer or quantizer through the promises that tokaudio makes.

Example:
    >>> from tokaudio.quantizers import FiniteScalarQuantizer
    >>> report = check_quantizer(FiniteScalarQuantizer(3, (8, 5, 5)))
    >>> report.broken
    ()
"""

from tokaudio.testing.quantizers import check_quantizer
from tokaudio.testing.report import ConformanceError, ConformanceReport, LawResult
from tokaudio.testing.tokenizers import check_tokenizer

__all__ = ["ConformanceError", "ConformanceReport", "LawResult", "check_quantizer", "check_tokenizer"]
