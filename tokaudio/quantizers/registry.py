"""Quantizers by name, as configurations write them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from tokaudio.errors import CheckpointError, UnknownNameError
from tokaudio.quantizers.banded import BandedQuantizer
from tokaudio.quantizers.base import Quantizer
from tokaudio.quantizers.binary import BinarySphericalQuantizer
from tokaudio.quantizers.chain import ResidualQuantizer
from tokaudio.quantizers.factorized import FactorizedVectorQuantizer
from tokaudio.quantizers.kmeans import KMeansQuantizer
from tokaudio.quantizers.lookup_free import LookupFreeQuantizer
from tokaudio.quantizers.multiscale import MultiScaleQuantizer
from tokaudio.quantizers.per_dimension import ScalarQuantizer
from tokaudio.quantizers.product import ProductQuantizer
from tokaudio.quantizers.random_projection import RandomProjectionQuantizer
from tokaudio.quantizers.residual import ResidualVectorQuantizer
from tokaudio.quantizers.residual_finite_scalar import ResidualFiniteScalarQuantizer
from tokaudio.quantizers.scalar import FiniteScalarQuantizer
from tokaudio.quantizers.simvq import SimVectorQuantizer
from tokaudio.quantizers.split import SplitResidualVectorQuantizer
from tokaudio.quantizers.vector import VectorQuantizer

QUANTIZERS: dict[str, type[Quantizer]] = {
    "vq": VectorQuantizer,
    "rvq": ResidualVectorQuantizer,
    "fsq": FiniteScalarQuantizer,
    "split": SplitResidualVectorQuantizer,
    "factorized": FactorizedVectorQuantizer,
    "kmeans": KMeansQuantizer,
    "simvq": SimVectorQuantizer,
    "residual": ResidualQuantizer,
    "product": ProductQuantizer,
    "multiscale": MultiScaleQuantizer,
    "residual-fsq": ResidualFiniteScalarQuantizer,
    "sq": ScalarQuantizer,
    "lfq": LookupFreeQuantizer,
    "bsq": BinarySphericalQuantizer,
    "banded": BandedQuantizer,
    "random-projection": RandomProjectionQuantizer,
}


def list_quantizers() -> list[str]:
    """Return the names of all quantizers.

    Example:
        >>> [name for name in list_quantizers() if name.endswith("vq")]
        ['rvq', 'simvq', 'vq']
    """
    return sorted(QUANTIZERS)


def make_quantizer(name: str, options: Mapping[str, Any]) -> Quantizer:
    """Make a quantizer from its name and the arguments of its constructor.

    Raises:
        UnknownNameError: if no quantizer has this name.
        CheckpointError: if an option does not exist or one is missing.

    Example:
        >>> make_quantizer("rvq", {"dim": 8, "codebook_size": 16, "num_codebooks": 2}).num_codebooks
        2
    """
    if name not in QUANTIZERS:
        raise UnknownNameError(f"no quantizer is called {name!r}; there are {', '.join(list_quantizers())}")
    try:
        inspect.signature(QUANTIZERS[name]).bind(**options)
    except TypeError as error:
        raise CheckpointError(f"quantizer {name!r}: {error}; check its options") from error
    return QUANTIZERS[name](**options)
