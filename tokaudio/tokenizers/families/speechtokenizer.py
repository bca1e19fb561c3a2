"""SpeechTokenizer: residual codes whose first level is distilled from HuBERT (arXiv:2308.16692).

Published as `config.json` with `SpeechTokenizer.pt`, and with Snake in place of ELU among AnyGPT's modules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.lstm import SkipLSTM
from tokaudio.nn.seanet import SEANet, seanet_name
from tokaudio.nn.stages import Stage, stage_of
from tokaudio.nn.windows import Windows
from tokaudio.quantizers import ResidualVectorQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.building import build
from tokaudio.tokenizers.families.fields import Facts, Fields, known_facts
from tokaudio.tokenizers.published import PublishedSource
from tokaudio.tokenizers.windowed import WindowedCodec

_ACTIVATIONS: dict[str, Literal["elu", "snake"]] = {"ELU": "elu", "Snake": "snake"}
# Fields that no other family has together.
_TELLING = {"n_filters", "strides", "n_q", "semantic_dimension"}
# What only training needs: statistics of the codebooks, and the projection onto HuBERT's vectors.
_STATISTICS = re.compile(r"quantizer\.vq\.layers\.\d+\._codebook\.(inited|cluster_size|embed_avg)")
_UNUSED = ("transform.",)


class SpeechTokenizer(WindowedCodec):
    """SEANet with an LSTM in both directions, eight codebooks, the first one semantic.

    The LSTM sees the whole signal; of long ones, windows: see
    [`InWindows`][tokaudio.tokenizers.windowed.InWindows].

    Example:
        >>> config = {"sample_rate": 16_000, "n_filters": 2, "strides": [4, 2], "dimension": 8, "bidirectional": True,
        ...           "dilation_base": 2, "residual_kernel_size": 3, "n_residual_layers": 1, "lstm_layers": 1,
        ...           "activation": "ELU", "codebook_size": 16, "n_q": 2}
        >>> SpeechTokenizer.from_config(config).spec.frame_rate
        Fraction(2000, 1)
    """

    FAMILY, TITLE = "speechtokenizer", "SpeechTokenizer"

    def __init__(self, spec: TokenizerSpec, net: SEANet) -> None:
        """Make an untrained one; `spec` and `net` must agree."""
        if (spec.hop_length, spec.channels) != (net.hop_length, net.channels):
            raise CheckpointError(f"{spec.name}: hop and channels are not those of the network")
        sizes = set(spec.codebook_sizes)
        if len(sizes) != 1:
            raise CheckpointError(f"{spec.name}: codebooks of sizes {sorted(sizes)}, which must be equal")
        quantizer = ResidualVectorQuantizer(net.dimension, sizes.pop(), num_codebooks=spec.num_codebooks)
        super().__init__(spec, net.encoder(), quantizer, net.decoder())
        self.net = net

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SpeechTokenizer:
        """Make an untrained one from the fields of the published `config.json`, and a `spec` if there is one.

        Raises:
            CheckpointError: if a field is missing or impossible.
        """
        fields = Fields(config, "config.json")
        net = _network(fields)
        given = config.get("spec")
        return cls(_spec(fields, net, Facts(cls.FAMILY)) if given is None else TokenizerSpec.from_dict(given), net)

    def config(self) -> dict[str, Any]:
        """Return the family's name, and the fields as they are published."""
        net = self.net
        names = {ours: published for published, ours in _ACTIVATIONS.items()}
        return {
            "family": self.FAMILY,
            "sample_rate": self.spec.sample_rate,
            "n_filters": net.filters,
            "strides": list(net.ratios),
            "dimension": net.dimension,
            "bidirectional": net.bidirectional,
            "dilation_base": net.dilation_base,
            "residual_kernel_size": net.residual_kernel_size,
            "n_residual_layers": net.residual_layers,
            "lstm_layers": net.lstm_layers,
            "activation": names[net.activation],
            "codebook_size": self.spec.codebook_sizes[0],
            "n_q": self.spec.num_codebooks,
        }

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether the configuration has this family's fields, or the weights its projection onto HuBERT."""
        if source.config is not None and source.config.keys() >= _TELLING:
            return True
        names = source.names()
        return "transform.weight" in names and "quantizer.vq.layers.0._codebook.embed" in names

    @classmethod
    def from_published(cls, source: PublishedSource) -> SpeechTokenizer:
        """Make it from published files.

        Raises:
            CheckpointError: if there is no configuration, or a tensor is missing, unknown, misshapen or non-finite.
        """
        file = source.weight_file()
        if source.config is None:
            problem = "is a SpeechTokenizer checkpoint without a configuration"
            raise CheckpointError(one_line(source.path, problem, "put the config.json of its folder beside it"))
        fields = Fields(source.config, str(source.path))
        net = _network(fields)
        spec = _spec(fields, net, known_facts(source.name))
        named = list(_renamed(source.tensors()))
        tensors, names = {theirs: value for _, theirs, value in named}, {ours: theirs for ours, theirs, _ in named}
        return build(lambda: cls(spec, net), tensors, str(file), names=names, ignore=_UNUSED)

    # --- long signals ----------------------------------------------------------------------------------------------

    @property
    def windows(self) -> Windows | None:
        """How long signals are cut, in frames."""
        return super().windows if self.net.bidirectional and self.net.lstm_layers else None

    def padded_length(self, num_samples: int) -> int:
        """Return the number of samples: the layers mirror the end of a signal themselves."""
        return num_samples

    def encoder_stage(self) -> Stage:
        """Return a fresh stage from samples `[n, 1]` to latents `[T, D]`."""
        for module in self.encoder.modules():
            if isinstance(module, SkipLSTM):
                module.windows = self.windows
        return stage_of(self.encoder)


def _network(fields: Fields) -> SEANet:
    return SEANet(
        filters=fields.whole("n_filters"),
        dimension=fields.whole("dimension"),
        ratios=fields.wholes("strides"),
        residual_kernel_size=fields.whole("residual_kernel_size"),
        residual_layers=fields.whole("n_residual_layers"),
        dilation_base=fields.whole("dilation_base"),
        lstm_layers=fields.whole("lstm_layers", minimum=0),
        bidirectional=fields.flag("bidirectional"),
        activation=_ACTIVATIONS[fields.choice("activation", list(_ACTIVATIONS))],
    )


def _spec(fields: Fields, net: SEANet, facts: Facts) -> TokenizerSpec:
    size, count = fields.whole("codebook_size"), fields.whole("n_q")
    first = CodebookSpec(size, role="semantic")
    return TokenizerSpec(
        name=facts.name,
        kind="hybrid",
        sample_rate=fields.whole("sample_rate"),
        hop_length=net.hop_length,
        codebooks=(first, *[CodebookSpec(size)] * (count - 1)),
        licence=facts.licence,
        paper=facts.paper,
        origin=facts.origin,
    )


def _renamed(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, str, Tensor]]:
    """Yield our names, the published names, and the tensors.

    | published | ours |
    |---|---|
    | `encoder.model.N.[block.M.]conv.conv.weight`, `bias` | `encoder.layers.N.[body.M.]weight`, `bias` |
    | `encoder.model.N.shortcut.conv.conv.weight` | `encoder.layers.N.shortcut.weight` |
    | `encoder.model.N.[block.M.]alpha` of `[1, C, 1]` | `encoder.layers.N.[body.M.]alpha` of `[C]` |
    | `encoder.model.N.lstm.weight_ih_l0_reverse` ... | `encoder.layers.N.lstm.weight_ih_l0_reverse` ... |
    | `decoder.model.N.convtr.convtr.weight` | `decoder.layers.N.weight` |
    | `quantizer.vq.layers.K._codebook.embed` | `quantizer.levels.K.book.table` |
    """
    for name, value in tensors.items():
        if _STATISTICS.fullmatch(name):
            continue
        if found := re.fullmatch(r"quantizer\.vq\.layers\.(\d+)\._codebook\.embed", name):
            yield f"quantizer.levels.{found[1]}.book.table", name, value
        else:
            yield seanet_name(name), name, value.flatten() if name.endswith(".alpha") else value
