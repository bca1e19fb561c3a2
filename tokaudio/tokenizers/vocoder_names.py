"""What tensors of published vocoders are called, and the sizes that follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.conv import Padding
from tokaudio.nn.unit_hifigan import UnitHiFiGANSizes


def unit_sizes(
    tensors: Mapping[str, Tensor],
    *,
    table: str,
    conv: str,
    factors: Sequence[int],
    dilations: Sequence[Sequence[int]],
    where: str,
    padding: Padding = "zeros",
    normalised: bool = False,
) -> UnitHiFiGANSizes:
    """Return the sizes of a vocoder.

    Args:
        tensors: of its file, weight norm folded.
        table: name of the table of units.
        conv: what stands between a convolution's name and `.weight`.
        factors: by which the rate goes up.
        dilations: of the branches.
        where: the file, for messages.
        padding: what is beyond a signal's ends.
        normalised: whether speakers' vectors are brought to length 1.

    Raises:
        CheckpointError: if a tensor is missing or its shape makes no sense.
    """

    def shape(name: str, rank: int) -> tuple[int, ...]:
        found = tensors.get(name)
        if found is None or found.ndim != rank:
            problem = f"has no tensor {name!r}" if found is None else f"has {name!r} of shape {list(found.shape)}"
            raise CheckpointError(
                one_line(where, problem, "get an intact copy, and the configuration that goes with it")
            )
        return tuple(found.shape)

    def rows(name: str) -> int:
        return shape(name, 2)[0] if name in tensors else 0

    paired = f"resblocks.0.convs1.0{conv}.weight" in tensors
    block = "convs1" if paired else "convs"
    units, unit_dim = shape(table, 2)
    channels, width, _ = shape(f"conv_pre{conv}.weight", 3)
    own, speakers, styles = table == "unit_embedding.weight", rows("spkr.weight"), rows("style.weight")
    rest = width - unit_dim * (1 + (speakers > 0) + (styles > 0))
    if rest < 0 or (rest and not own):
        problem = f"takes vectors of {width}, and units are {unit_dim} wide"
        raise CheckpointError(one_line(where, problem, "give a vocoder of units alone"))
    branches = range(len(dilations))
    kernels = [shape(f"ups.{index}{conv}.weight", 3)[2] for index in range(len(factors))]
    try:
        return UnitHiFiGANSizes(
            units=units,
            unit_dim=unit_dim,
            attention_dim=rows("attn_pooling.0.weight"),
            speakers=speakers,
            speaker_dim=rest,
            normalised=normalised and rest > 0,
            styles=styles,
            channels=channels,
            factors=tuple(factors),
            kernels=tuple(kernels),
            branch_kernels=tuple(shape(f"resblocks.{index}.{block}.0{conv}.weight", 3)[2] for index in branches),
            branch_dilations=tuple(tuple(row) for row in dilations),
            paired=paired,
            padding=padding,
            final_bias=f"conv_post{conv}.bias" in tensors,
            duration_dim=rows("dur_predictor.proj.weight") and shape("dur_predictor.proj.weight", 2)[1],
        )
    except ValueError as error:
        raise CheckpointError(one_line(where, f"has sizes that do not fit ({error})", "get an intact copy")) from error


def speechbrain_names(sizes: UnitHiFiGANSizes) -> dict[str, str]:
    """Return the names of SpeechBrain's `UnitHifiganGenerator` by our own.

    Example:
        >>> speechbrain_names(UnitHiFiGANSizes(units=5))["network.generator.entry.weight"]
        'conv_pre.conv.weight'
    """
    names = {"network.units.weight": "unit_embedding.weight"}
    if sizes.attention_dim:
        parts = ("0.weight", "0.bias", "2.weight")
        names |= {f"network.attention.{part}": f"attn_pooling.{part}" for part in parts}
    return names | _generator_names(sizes, ".conv")


def code_generator_names(sizes: UnitHiFiGANSizes) -> dict[str, str]:
    """Return the names of textlesslib's `CodeGenerator` by our own.

    Example:
        >>> names = code_generator_names(UnitHiFiGANSizes(units=5))
        >>> names["network.generator.branches.1.branches.2.0.body.1.conv.bias"]
        'resblocks.5.convs2.0.bias'
    """
    names = {"network.units.weight": "dict.weight"}
    if sizes.speakers:
        names["network.speakers.weight"] = "spkr.weight"
    if sizes.styles:
        names["network.styles.weight"] = "style.weight"
    if sizes.duration_dim:
        ends = ("weight", "bias")
        parts = [(f"convs.{index}", f"conv{index + 1}.0") for index in range(2)]
        parts += [(f"norms.{index}", f"ln{index + 1}") for index in range(2)] + [("projection", "proj")]
        names |= {
            f"network.durations.{our}.{end}": f"dur_predictor.{their}.{end}" for our, their in parts for end in ends
        }
    return names | _generator_names(sizes, "")


def _generator_names(sizes: UnitHiFiGANSizes, conv: str) -> dict[str, str]:
    pairs = [("entry", "conv_pre")]
    for index in range(len(sizes.factors)):
        pairs.append((f"ups.{index}.1", f"ups.{index}"))
        for branch, dilations in enumerate(sizes.branch_dilations):
            theirs = f"resblocks.{index * len(sizes.branch_kernels) + branch}"
            for unit in range(len(dilations)):
                ours = f"branches.{index}.branches.{branch}.{unit}.body"
                if sizes.paired:
                    pairs += [(f"{ours}.{at}.conv", f"{theirs}.convs{at + 1}.{unit}") for at in range(2)]
                else:
                    pairs.append((f"{ours}.0.conv", f"{theirs}.convs.{unit}"))
    pairs.append(("exit.conv", "conv_post"))
    names = {
        f"network.generator.{our}.{end}": f"{their}{conv}.{end}" for our, their in pairs for end in ("weight", "bias")
    }
    if not sizes.final_bias:
        del names["network.generator.exit.conv.bias"]
    return names
