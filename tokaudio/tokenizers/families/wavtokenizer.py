"""WavTokenizer: one codebook at 40 or 75 Hz (arXiv:2408.16532).

Published as Lightning checkpoints (`.ckpt`, of which inference needs a third) with the configuration of the whole
training in YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tokaudio.checkpoints import fold_weight_norm
from tokaudio.checkpoints.configs import read_mapping
from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.seanet import SEANet, seanet_name
from tokaudio.nn.stages import Stage, stage_of
from tokaudio.nn.vocos import Vocos, VocosDecoder
from tokaudio.nn.windows import Windows
from tokaudio.quantizers import ResidualVectorQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.building import build
from tokaudio.tokenizers.codec import Codec
from tokaudio.tokenizers.families.fields import Facts, Fields, known_facts
from tokaudio.tokenizers.published import PublishedSource

_FRONT = "feature_extractor.encodec."
_CODEBOOK = f"{_FRONT}quantizer.vq.layers.0._codebook."
# Names begin so in what inference needs; the rest of a Lightning checkpoint is losses, discriminators and metrics.
_NEEDED = (f"{_FRONT}encoder.", f"{_CODEBOOK}embed", "backbone.", "head.")
# Statistics of training, and the window, which the transform's size gives.
_UNUSED = (f"{_CODEBOOK}embed_avg", "head.istft.")
_RESNET = {"norm1": "body.0", "conv1": "body.2", "norm2": "body.3", "conv2": "body.5"}


class WavTokenizer(Codec):
    """A SEANet encoder with an LSTM, one codebook, and a Vocos decoder with attention.

    The encoder carries a state: pieces give the codes of the whole, at any length. The decoder's attention sees the
    whole signal. Signals of up to `window_seconds` are decoded so, as the reference does; longer ones in windows of
    two thirds of that with 4 s of context on both sides, in memory that does not grow: an approximation. A decoding
    stream gives exactly what the whole gives, when a window, or the signal, is complete.

    Attributes:
        window_seconds: None for the whole signal whatever its length.

    Example:
        >>> config = {"sample_rate": 24_000, "downsamples": [4, 2], "filters": 2, "input_channels": 8, "vq_bins": 16,
        ...           "dim": 32, "intermediate_dim": 64, "num_layers": 1, "conditions": 4, "n_fft": 32}
        >>> WavTokenizer.from_config(config).spec.frame_rate
        Fraction(3000, 1)
    """

    FAMILY, TITLE = "wavtokenizer", "WavTokenizer"

    window_seconds: float | None = 60.0
    decoder: VocosDecoder

    def __init__(self, spec: TokenizerSpec, net: SEANet, vocos: Vocos) -> None:
        """Make an untrained one; its parts must agree.

        Raises:
            CheckpointError: if they do not.
        """
        if len(spec.codebooks) != 1:
            raise CheckpointError(f"{spec.name}: {len(spec.codebooks)} codebooks, but a WavTokenizer has one")
        hops = {spec.hop_length, net.hop_length, vocos.hop_length}
        if len(hops) != 1 or net.dimension != vocos.latents or spec.channels != net.channels:
            raise CheckpointError(f"{spec.name}: hop, width or channels of encoder, decoder and spec do not agree")
        quantizer = ResidualVectorQuantizer(net.dimension, spec.codebook_sizes[0], num_codebooks=1)
        super().__init__(spec, net.encoder(), quantizer, vocos.make())
        self.net, self.vocos = net, vocos

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> WavTokenizer:
        """Make an untrained one from what `config` returns, and a `spec` if there is one.

        Raises:
            CheckpointError: if a field is missing or impossible.
        """
        fields = Fields(config, "config.json")
        net = SEANet(
            filters=fields.whole("filters"),
            dimension=fields.whole("input_channels"),
            ratios=fields.wholes("downsamples"),
        )
        vocos = _vocos(fields, fields, net.hop_length, fields.whole("conditions", minimum=0))
        given = config.get("spec")
        return cls(
            _spec(fields, fields, net, Facts(cls.FAMILY)) if given is None else TokenizerSpec.from_dict(given),
            net,
            vocos,
        )

    def config(self) -> dict[str, Any]:
        """Return the family's name and the sizes of its parts."""
        vocos = self.vocos
        return {
            "family": self.FAMILY,
            "sample_rate": self.spec.sample_rate,
            "filters": self.net.filters,
            "downsamples": list(self.net.ratios),
            "vq_bins": self.spec.codebook_sizes[0],
            "input_channels": vocos.latents,
            "dim": vocos.dim,
            "intermediate_dim": vocos.intermediate_dim,
            "num_layers": vocos.layers,
            "conditions": vocos.conditions,
            "n_fft": vocos.n_fft,
        }

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether the configuration is of this family's training, or the weights are of its three parts."""
        if source.config is not None:
            return _is_training(source.config)
        names = source.names()
        return f"{_CODEBOOK}embed" in names and "backbone.pos_net.2.proj_out.weight" in names

    @classmethod
    def from_published(cls, source: PublishedSource) -> WavTokenizer:
        """Make it from a checkpoint and the YAML file beside it; of several, the one whose sizes it has.

        Raises:
            CheckpointError: if no configuration fits, or a tensor is missing, unknown, misshapen or non-finite.
        """
        file = source.weight_file()
        where = str(source.path)
        model = Fields(_configuration(source), where).section("model").section("init_args")
        front, backbone, head = (
            model.section(name).section("init_args") for name in ("feature_extractor", "backbone", "head")
        )
        if front.whole("num_quantizers") != 1:
            raise CheckpointError(one_line(where, "has several quantizers", "give a WavTokenizer with one"))
        head.choice("padding", ["same"])
        # The one number that no file states is the encoder's first width.
        filters = _filters(source)
        net = SEANet(filters=filters, dimension=backbone.whole("input_channels"), ratios=front.wholes("dowmsamples"))
        conditions = backbone.values.get("adanorm_num_embeddings")
        vocos = _vocos(
            backbone,
            head,
            head.whole("hop_length"),
            0 if conditions is None else backbone.whole("adanorm_num_embeddings"),
        )
        spec = _spec(model, front, net, known_facts(source.name))
        # Losses and discriminators, most of the file, are left where they are.
        needed = {name: value for name, value in source.checkpoint().tensors.items() if name.startswith(_NEEDED)}
        tensors = fold_weight_norm(needed, where=str(file))
        names = dict(_our_names(tensors))
        tensors = {name: tensors[name] for name in names.values()}
        return build(lambda: cls(spec, net, vocos), tensors, str(file), names=names)

    # --- long signals ----------------------------------------------------------------------------------------------

    @property
    def windows(self) -> Windows | None:
        """How long signals are cut when they are decoded, in frames."""
        if self.window_seconds is None:
            return None
        return Windows.of(float(self.spec.frame_rate), longest_whole=self.window_seconds)

    def padded_length(self, num_samples: int) -> int:
        """Return the number of samples: the layers mirror the end of a signal themselves."""
        return num_samples

    def decoder_stage(self) -> Stage:
        """Return a fresh stage from vectors `[T, D]` to samples `[n, 1]`."""
        self.decoder.windows = self.windows
        return stage_of(self.decoder)


def _is_training(config: Mapping[str, Any]) -> bool:
    """Return whether a configuration is that of a WavTokenizer's training; its misspelt field tells."""
    part: Any = config
    for name in ("model", "init_args", "feature_extractor", "init_args"):
        part = part.get(name) if isinstance(part, Mapping) else None
    return isinstance(part, Mapping) and "dowmsamples" in part


def _configuration(source: PublishedSource) -> dict[str, Any]:
    """Return the configuration beside the weights; of several, the only one with the size of their transform."""
    if source.config is not None:
        return source.config
    folder = source.path if source.path.is_dir() else source.path.parent
    found = [read_mapping(path) for path in sorted(folder.iterdir()) if path.suffix in (".yaml", ".yml")]
    rows = source.shapes().get("head.out.weight", (0,))[0]
    fitting = []
    for config in filter(_is_training, found):
        head = Fields(config, str(source.path)).section("model").section("init_args").section("head")
        if head.section("init_args").whole("n_fft") + 2 == rows:
            fitting.append(config)
    if len(fitting) == 1:
        return fitting[0]
    problem = f"is a WavTokenizer checkpoint, and {len(fitting) or 'none'} of the {len(found)} YAML files beside it fit"
    raise CheckpointError(one_line(source.path, problem, "put the configuration that belongs to it beside it"))


def _filters(source: PublishedSource) -> int:
    name = f"{_FRONT}encoder.model.0.conv.conv"
    shapes = source.shapes()
    shape = shapes.get(f"{name}.bias", ())
    if len(shape) != 1 or not 1 <= shape[0] <= 4096:
        problem = f"lacks tensor {name + '.bias'!r}, or it is misshapen"
        raise CheckpointError(one_line(source.path, problem, "get an intact copy"))
    return shape[0]


def _vocos(backbone: Fields, head: Fields, hop_length: int, conditions: int) -> Vocos:
    try:
        return Vocos(
            latents=backbone.whole("input_channels"),
            dim=backbone.whole("dim"),
            intermediate_dim=backbone.whole("intermediate_dim"),
            layers=backbone.whole("num_layers"),
            conditions=conditions,
            n_fft=head.whole("n_fft"),
            hop_length=hop_length,
        )
    except ValueError as error:
        raise CheckpointError(one_line(backbone.where, f"has {error}", "get an intact copy")) from error


def _spec(rates: Fields, front: Fields, net: SEANet, facts: Facts) -> TokenizerSpec:
    return TokenizerSpec(
        name=facts.name,
        kind="compression",
        sample_rate=rates.whole("sample_rate"),
        hop_length=net.hop_length,
        codebooks=(CodebookSpec(front.whole("vq_bins")),),
        licence=facts.licence,
        paper=facts.paper,
        origin=facts.origin,
    )


def _our_names(published: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield our names of the published tensors that are needed, and theirs.

    | published | ours |
    |---|---|
    | `feature_extractor.encodec.encoder.model.N...` | `encoder.layers.N...`, as `seanet_name` says |
    | `feature_extractor.encodec.quantizer.vq.layers.0._codebook.embed` | `quantizer.levels.0.book.table` |
    | `backbone.pos_net.N.norm1`, `conv1`, `norm2`, `conv2` | `decoder.pos_net.N.body.0`, `2`, `3`, `5` |
    | `backbone...`, `head.out...` | `decoder...`, `decoder.head.out...` |
    """
    for name in published:
        if name.startswith(_UNUSED):
            continue
        if name == f"{_CODEBOOK}embed":
            yield "quantizer.levels.0.book.table", name
        elif name.startswith(_FRONT):
            yield seanet_name(name.removeprefix(_FRONT)), name
        elif name.startswith("head."):
            yield f"decoder.{name}", name
        else:
            inner = re.sub(r"(?<=\.)(norm|conv)([12])\.", lambda m: f"{_RESNET[m[1] + m[2]]}.", name)
            yield f"decoder.{inner.removeprefix('backbone.')}", name
