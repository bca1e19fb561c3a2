"""The tokenizer of Higgs Audio v2: X-Codec's two branches at 24 kHz and 25 frames per second."""

from __future__ import annotations

from typing import ClassVar

from tokaudio.tokenizers.families.xcodec import XCodec
from tokaudio.tokenizers.families.xcodec_files import has_projections, layout_of
from tokaudio.tokenizers.published import PublishedSource


class Higgs(XCodec):
    """X-Codec with a HuBERT that hears the sound at 16 kHz, and codebooks that are searched in a narrower space.

    What X-Codec says about long signals holds here as well.

    Example:
        >>> Higgs.FAMILY, Higgs.TITLE
        ('higgs', 'Higgs tokenizer')
    """

    FAMILY, TITLE = "higgs", "Higgs tokenizer"
    PAPER: ClassVar[str] = ""

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether the tensors have the names of either published layout, with projections to codebooks."""
        names = source.names()
        return layout_of(names) is not None and has_projections(names)
