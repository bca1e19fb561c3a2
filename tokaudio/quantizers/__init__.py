"""Quantizers: interchangeable by name inside any trainable tokenizer."""

from tokaudio.quantizers.banded import BandedQuantizer
from tokaudio.quantizers.base import Quantizer, QuantizerOutput
from tokaudio.quantizers.binary import BinarySphericalQuantizer
from tokaudio.quantizers.chain import ResidualQuantizer
from tokaudio.quantizers.factorized import FactorizedVectorQuantizer
from tokaudio.quantizers.finite_scalar import GroupedFiniteScalarQuantizer
from tokaudio.quantizers.kmeans import KMeansQuantizer
from tokaudio.quantizers.lookup_free import LookupFreeQuantizer
from tokaudio.quantizers.multiscale import MultiScaleQuantizer
from tokaudio.quantizers.per_dimension import ScalarQuantizer
from tokaudio.quantizers.product import ProductQuantizer
from tokaudio.quantizers.random_projection import RandomProjectionQuantizer
from tokaudio.quantizers.registry import list_quantizers, make_quantizer
from tokaudio.quantizers.residual import ResidualVectorQuantizer
from tokaudio.quantizers.residual_finite_scalar import ResidualFiniteScalarQuantizer
from tokaudio.quantizers.scalar import FiniteScalarQuantizer
from tokaudio.quantizers.simvq import SimVectorQuantizer
from tokaudio.quantizers.split import SplitResidualVectorQuantizer
from tokaudio.quantizers.usage import CodebookUsage, CollapseWarning
from tokaudio.quantizers.vector import VectorQuantizer

__all__ = [
    "BandedQuantizer",
    "BinarySphericalQuantizer",
    "CodebookUsage",
    "CollapseWarning",
    "FactorizedVectorQuantizer",
    "FiniteScalarQuantizer",
    "GroupedFiniteScalarQuantizer",
    "KMeansQuantizer",
    "LookupFreeQuantizer",
    "MultiScaleQuantizer",
    "ProductQuantizer",
    "Quantizer",
    "QuantizerOutput",
    "RandomProjectionQuantizer",
    "ResidualFiniteScalarQuantizer",
    "ResidualQuantizer",
    "ResidualVectorQuantizer",
    "ScalarQuantizer",
    "SimVectorQuantizer",
    "SplitResidualVectorQuantizer",
    "VectorQuantizer",
    "list_quantizers",
    "make_quantizer",
]
