"""How published files of X-Codec and of the Higgs tokenizer name their tensors.

| ours | transformers | first releases |
|---|---|---|
| `encoder.acoustic.*` | `acoustic_encoder.*`, as in its DAC | `encoder.*`, as in descript's DAC |
| `encoder.semantic.listener.*` | `semantic_model.*` | `semantic_model.*` |
| `encoder.semantic.convolutions.0` | `encoder_semantic.conv` | `encoder_semantic.conv.conv` |
| `encoder.semantic.convolutions.N` | `encoder_semantic.conv_blocks.B.*` | the same, `.conv` after wide ones |
| `encoder.join` | `fc` | `fc_prior` |
| `quantizer.levels.K.book.table` | `quantizer.quantizers.K.codebook.embed` | `quantizer.vq.layers.K._codebook.embed` |
| `quantizer.levels.K.down` | `quantizer.quantizers.K.project_in` | `quantizer.vq.layers.K.project_in` |
| `quantizer.levels.K.up` | `quantizer.quantizers.K.project_out` | `quantizer.vq.layers.K.project_out` |
| `decoder.0` | `fc2` | `fc_post2` |
| `decoder.1.*` | `acoustic_decoder.*` | `decoder_2.*` |

The decoder of semantic vectors and the map in front of it (`decoder_semantic`, `fc1`, `fc_post1`) only teach; they are
left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal

from torch import Tensor

from tokaudio.tokenizers.backbones import speech_tensors
from tokaudio.tokenizers.families.dac_files import DacShape, published_names, renamed
from tokaudio.tokenizers.families.xcodec_sizes import XCodecSizes

Layout = Literal["transformers", "original"]
Pairs = Iterator[tuple[str, str]]

_SPEECH = "semantic_model."
_LISTENER = "encoder.semantic.listener."
# What only training needs.
_UNUSED = ("decoder_semantic.", "fc1.", "fc_post1.")
_STATISTICS = re.compile(r"quantizer\.(quantizers|vq\.layers)\.\d+\._?codebook\.(inited|cluster_size|embed_avg)")
# Names that no other family has together.
_TELLING: dict[Layout, set[str]] = {
    "transformers": {"acoustic_encoder.conv1.weight", "fc.weight", "quantizer.quantizers.0.codebook.embed"},
    "original": {"decoder_2.model.0.weight", "fc_prior.weight", "quantizer.vq.layers.0._codebook.embed"},
}
_PROJECTIONS: dict[Layout, str] = {
    "transformers": "quantizer.quantizers.0.project_in.weight",
    "original": "quantizer.vq.layers.0.project_in.weight",
}


def layout_of(names: frozenset[str]) -> Layout | None:
    """Return which published layout tensors of these names have, or None.

    Example:
        >>> names = {"acoustic_encoder.conv1.weight", "fc.weight", "quantizer.quantizers.0.codebook.embed"}
        >>> layout_of(frozenset(names)), layout_of(frozenset({"fc.weight"}))
        ('transformers', None)
    """
    return next((layout for layout, telling in _TELLING.items() if telling <= names), None)


def has_projections(names: frozenset[str]) -> bool:
    """Return whether codebooks are searched in a narrower space, as the Higgs tokenizer does and X-Codec does not.

    Example:
        >>> has_projections(frozenset({"quantizer.quantizers.0.project_in.weight"}))
        True
    """
    return bool(names & set(_PROJECTIONS.values()))


def names_of(sizes: XCodecSizes, layout: Layout) -> dict[str, str]:
    """Return the published name of every tensor of ours but those of the network that hears.

    Example:
        >>> names_of(XCodecSizes(), "original")["encoder.semantic.convolutions.2.body.1.weight"]
        'encoder_semantic.conv_blocks.0.res_units.1.conv1.conv.weight'
        >>> names_of(XCodecSizes(), "transformers")["decoder.1.blocks.0.1.weight"]
        'acoustic_decoder.block.0.conv_t1.weight'
    """
    return dict([*_acoustic(sizes, layout), *_semantic(sizes, layout), *_rest(sizes, layout)])


def needed_tensors(
    tensors: Mapping[str, Tensor], sizes: XCodecSizes, layout: Layout, where: str
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return published tensors in the shapes that are used here, and their names by ours.

    Those of the network that hears come under our names.

    Args:
        tensors: by published names, weight norm folded.
        sizes: of the network.
        layout: of the file.
        where: the file, for messages.

    Raises:
        CheckpointError: the network that hears is not among them.
    """
    heard = {name: value for name, value in tensors.items() if name.startswith(_SPEECH)}
    listener = speech_tensors(heard, layers=sizes.speech.layers, where=where)
    kept = {f"{_LISTENER}{name}": value for name, value in listener.items()}
    names = names_of(sizes, layout) | {name: name for name in kept}
    pointwise = {names["encoder.join.weight"], names["decoder.0.weight"]}
    for name, value in renamed(tensors).items():
        if not name.startswith((_SPEECH, *_UNUSED)) and not _STATISTICS.fullmatch(name):
            kept[name] = value[:, :, None] if name in pointwise and value.dim() == 2 else value
    return kept, names


def _acoustic(sizes: XCodecSizes, layout: Layout) -> Pairs:
    shape = DacShape(encoder_rates=sizes.encoder_rates, decoder_dim=sizes.decoder_dim, n_codebooks=1)
    prefixes = {"transformers": ("acoustic_encoder.", "acoustic_decoder."), "original": ("encoder.", "decoder_2.")}
    encoder, decoder = prefixes[layout]
    for ours, theirs in published_names(shape, "transformers" if layout == "transformers" else "descript").items():
        if ours.startswith("encoder."):
            yield f"encoder.acoustic.{ours.removeprefix('encoder.')}", encoder + theirs.removeprefix("encoder.")
        elif ours.startswith("decoder."):
            yield f"decoder.1.{ours.removeprefix('decoder.')}", decoder + theirs.removeprefix("decoder.")


def _semantic(sizes: XCodecSizes, layout: Layout) -> Pairs:
    inner = ".conv" if layout == "original" else ""
    ours, theirs = "encoder.semantic.convolutions", "encoder_semantic"
    yield f"{ours}.0.weight", f"{theirs}.conv{inner}.weight"
    at = 1
    for block in range(sizes.blocks):
        stem = f"{theirs}.conv_blocks.{block}"
        for unit in range(len(sizes.dilations)):
            yield f"{ours}.{at}.body.1.weight", f"{stem}.res_units.{unit}.conv1{inner}.weight"
            yield f"{ours}.{at}.body.3.weight", f"{stem}.res_units.{unit}.conv2.weight"
            at += 1
        for part in ("weight", "bias"):
            yield f"{ours}.{at}.{part}", f"{stem}.conv{inner}.{part}"
        at += 1


def _rest(sizes: XCodecSizes, layout: Layout) -> Pairs:
    maps = {"transformers": ("fc", "fc2"), "original": ("fc_prior", "fc_post2")}[layout]
    for ours, theirs in zip(("encoder.join", "decoder.0"), maps, strict=True):
        for part in ("weight", "bias"):
            yield f"{ours}.{part}", f"{theirs}.{part}"
    stem, book = {"transformers": ("quantizers", "codebook"), "original": ("vq.layers", "_codebook")}[layout]
    for level in range(sizes.num_codebooks):
        ours, theirs = f"quantizer.levels.{level}", f"quantizer.{stem}.{level}"
        yield f"{ours}.book.table", f"{theirs}.{book}.embed"
        for way, there in (("down", "project_in"), ("up", "project_out")) if sizes.codebook_dim else ():
            for part in ("weight", "bias"):
                yield f"{ours}.{way}.{part}", f"{theirs}.{there}.{part}"
