"""Banded quantization: every codebook has a frequency band of its own, and its codes a local meaning by construction.

The latents are the sub-latents of the bands one after the other, each computed from its band alone and decoded into it
alone (see [`BandedEncoder`][tokaudio.nn.banded_codec.BandedEncoder]); the quantizer keeps them apart. As arithmetic,
this is product quantization (Jegou et al. 2011, doi:10.1109/TPAMI.2010.57) whose groups are bands.
"""

from __future__ import annotations

from typing import Any

from tokaudio.quantizers.product import ProductQuantizer


class BandedQuantizer(ProductQuantizer):
    """One residual quantizer per band: codebook k belongs to band `k % bands`, from the lowest frequencies up.

    With several codebooks per band, the first ones of all bands come first: a prefix is coarse in every band before it
    is fine in any. Fewer codebooks than bands leave the upper bands out.

    Attributes:
        bands: how many there are.

    Example:
        >>> import torch
        >>> quantizer = BandedQuantizer(8, 16, bands=4, codebooks_per_band=2)
        >>> quantizer.encode(torch.randn(1, 8, 5)).shape, quantizer.band_of(5)
        (torch.Size([1, 8, 5]), 1)
    """

    def __init__(
        self,
        dim: int,
        codebook_size: int,
        *,
        bands: int,
        codebooks_per_band: int = 1,
        commitment: float = 0.25,
        decay: float = 0.99,
        revive_below: float = 0.02,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Make the bands' quantizers.

        Each of the `bands` has `D / bands` dimensions and `codebooks_per_band` residual codebooks. The other options
        are those of [`ResidualVectorQuantizer`][tokaudio.quantizers.residual.ResidualVectorQuantizer], for every band;
        `dropout` counts codebooks over all bands.

        Raises:
            ValueError: if the bands do not divide the width.
        """
        options: dict[str, Any] = {
            "codebook_size": codebook_size,
            "num_codebooks": codebooks_per_band,
            "commitment": commitment,
            "decay": decay,
            "revive_below": revive_below,
        }
        super().__init__(dim, groups=bands, inner="rvq", inner_options=options, dropout=dropout, seed=seed)
        self.bands = bands

    def band_of(self, index: int) -> int:
        """Return the band of codebook `index`, counted from the lowest.

        Raises:
            IndexError: if there is no such codebook.

        Example:
            >>> BandedQuantizer(8, 16, bands=4).band_of(3)
            3
        """
        if not 0 <= index < self.num_codebooks:
            raise IndexError(f"codebook index must be in 0..{self.num_codebooks - 1}, got {index}")
        return index % self.bands
