"""Quantizers: interchangeable by name inside any trainable tokenizer."""

from tokaudio.quantizers.base import Quantizer, QuantizerOutput
from tokaudio.quantizers.factorized import FactorizedVectorQuantizer
from tokaudio.quantizers.finite_scalar import GroupedFiniteScalarQuantizer
from tokaudio.quantizers.kmeans import KMeansQuantizer
from tokaudio.quantizers.registry import list_quantizers, make_quantizer
from tokaudio.quantizers.residual import ResidualVectorQuantizer
from tokaudio.quantizers.scalar import FiniteScalarQuantizer
from tokaudio.quantizers.simvq import SimVectorQuantizer
from tokaudio.quantizers.split import SplitResidualVectorQuantizer
from tokaudio.quantizers.usage import CodebookUsage, CollapseWarning
from tokaudio.quantizers.vector import VectorQuantizer

__all__ = [
    "CodebookUsage",
    "CollapseWarning",
    "FactorizedVectorQuantizer",
    "FiniteScalarQuantizer",
    "GroupedFiniteScalarQuantizer",
    "KMeansQuantizer",
    "Quantizer",
    "QuantizerOutput",
    "ResidualVectorQuantizer",
    "SimVectorQuantizer",
    "SplitResidualVectorQuantizer",
    "VectorQuantizer",
    "list_quantizers",
    "make_quantizer",
]
