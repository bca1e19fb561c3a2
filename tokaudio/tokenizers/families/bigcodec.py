"""BigCodec (Xin et al. 2024, arXiv:2409.05377): one codebook of 8192 at 80 Hz."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.bigcodec import bigcodec_decoder, bigcodec_encoder
from tokaudio.quantizers import FactorizedVectorQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.building import require_frame
from tokaudio.tokenizers.codec import Codec
from tokaudio.tokenizers.families.bigcodec_files import (
    LAYOUTS,
    BigCodecShape,
    layout_of,
    published_names,
    shape_of,
    without_filters,
)
from tokaudio.tokenizers.families.fields import known_facts
from tokaudio.tokenizers.published import PublishedSource, build

# No file states it; the paper does.
_SAMPLE_RATE = 16_000


class BigCodec(Codec):
    """Convolutions with alias-free SnakeBeta, an LSTM on either side, and one factorised codebook.

    A signal that fills its last frame gets one frame more, as in the published pipeline. The LSTMs carry their state
    from block to block, so that pieces give the codes of the whole.

    Example:
        >>> spec = TokenizerSpec("tiny", "compression", 8_000, 4, (CodebookSpec(16),), least_padding=1)
        >>> sizes = {"encoder_dim": 4, "decoder_dim": 8, "strides": (2, 2), "latent_dim": 8, "codebook_size": 16}
        >>> codec = BigCodec(spec, BigCodecShape(**sizes)).eval()
        >>> import torch
        >>> codec.encode(torch.zeros(400)).codes.shape
        torch.Size([1, 1, 101])
    """

    FAMILY, TITLE = "bigcodec", "BigCodec"

    def __init__(self, spec: TokenizerSpec, shape: BigCodecShape) -> None:
        """Make an untrained BigCodec.

        Raises:
            CheckpointError: if the spec and the sizes do not agree.
        """
        quantizer = FactorizedVectorQuantizer(
            shape.latent_dim, shape.codebook_size, num_codebooks=shape.n_codebooks, codebook_dim=shape.codebook_dim
        )
        super().__init__(
            spec,
            bigcodec_encoder(
                shape.encoder_dim,
                shape.strides,
                shape.latent_dim,
                dilations=shape.dilations,
                lstm_layers=shape.encoder_lstm_layers,
            ),
            quantizer,
            bigcodec_decoder(
                shape.latent_dim,
                shape.decoder_dim,
                shape.strides[::-1],
                dilations=shape.dilations,
                lstm_layers=shape.decoder_lstm_layers,
            ),
        )
        self.shape = shape
        require_frame(spec, shape.hop_length)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> BigCodec:
        """Make an untrained BigCodec from what our `config.json` holds.

        Raises:
            CheckpointError: if a field is missing, unknown or no size.
        """
        try:
            return cls(TokenizerSpec.from_dict(config["spec"]), BigCodecShape(**config["network"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the configuration does not fit BigCodec: {error}; get an intact copy") from error

    def config(self) -> dict[str, Any]:
        """Return the family's name and sizes."""
        return {"family": self.FAMILY, "network": dataclasses.asdict(self.shape)}

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether the tensors have the names of either published layout."""
        return layout_of(source.names()) is not None

    @classmethod
    def from_published(cls, source: PublishedSource) -> BigCodec:
        """Make a BigCodec from the authors' `bigcodec.pt`, or from a folder of the `bigcodec` package.

        Raises:
            CheckpointError: if a tensor is missing, unknown, misshapen or non-finite, or the sizes do not agree.
        """
        where = str(source.checkpoint().path)
        layout = layout_of(source.names())
        if layout is None:
            raise CheckpointError(one_line(where, "holds no BigCodec", "load it with Tokenizer.from_pretrained"))
        # The authors' file may also hold what only training needs, such as discriminators.
        tensors = {name: value for name, value in source.tensors().items() if name.startswith(LAYOUTS[layout])}
        shape = shape_of(tensors, layout, source.config, where)
        spec = spec_of(source, shape)
        names, tensors = published_names(shape, layout), without_filters(tensors, where)
        return build(lambda: cls(spec, shape), tensors, where, names=names)


def spec_of(source: PublishedSource, shape: BigCodecShape) -> TokenizerSpec:
    """Return the facts about published weights; name, licence and origin only where it is known whose they are."""
    facts = known_facts(source.name)
    return TokenizerSpec(
        name=facts.name,
        kind="compression",
        sample_rate=_SAMPLE_RATE,
        hop_length=shape.hop_length,
        codebooks=(CodebookSpec(shape.codebook_size),) * shape.n_codebooks,
        chunking="state",
        licence=facts.licence,
        paper=facts.paper or "arXiv:2409.05377",
        origin=facts.origin,
        least_padding=1,
    )
