"""What a study of layers found, and what follows from it in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tokaudio.analysis.statistics.information import Information

# The fewest clusters that keep so much of what the best number keeps are enough.
ENOUGH = 0.95
_VOICE = ("speaker", "pitch")
# Shares that differ by less are not told apart.
_CLOSE = 0.01


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the codes of one clustering say about one attribute.

    Attributes:
        layer: its number, None for MFCC.
        clusters: k.
        attribute: phone, speaker, pitch or energy.
        information: of the held-out frames.
    """

    layer: int | None
    clusters: int
    attribute: str
    information: Information

    @property
    def share(self) -> float:
        """The share of what there is to know, bias and floor taken off."""
        return self.information.share


@dataclass(frozen=True, slots=True)
class LayerStudy:
    """All that a study found.

    Attributes:
        backbone: its name.
        layers: numbers of the layers.
        sizes: numbers of clusters.
        attributes: what codes were compared with.
        measurements: for each attribute, layer and number of clusters; MFCC too, if asked for.
        facts: recordings, minutes, frames and the like.
        notes: what the reader ought to know about the figures, one sentence each.
    """

    backbone: str
    layers: tuple[int, ...]
    sizes: tuple[int, ...]
    attributes: tuple[str, ...]
    measurements: tuple[Measurement, ...]
    facts: Mapping[str, int | float | str]
    notes: tuple[str, ...]

    def at(self, attribute: str, layer: int | None, clusters: int) -> Measurement | None:
        """Return one measurement; None if there is none.

        Args:
            attribute: one of `attributes`.
            layer: its number, None for MFCC.
            clusters: one of `sizes`.
        """
        wanted = (attribute, layer, clusters)
        return next((one for one in self.measurements if (one.attribute, one.layer, one.clusters) == wanted), None)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "backbone": self.backbone,
            "layers": list(self.layers),
            "clusters": list(self.sizes),
            "attributes": list(self.attributes),
            "facts": dict(self.facts),
            "notes": list(self.notes),
            "measurements": [
                {
                    "features": "mfcc" if one.layer is None else f"layer {one.layer}",
                    "layer": one.layer,
                    "clusters": one.clusters,
                    "attribute": one.attribute,
                    "share": one.share,
                    **asdict(one.information),
                }
                for one in self.measurements
            ],
        }

    def best(self, attribute: str) -> Measurement:
        """Return the measurement of the layer and number of clusters that say most about an attribute."""
        own = [one for one in self.measurements if one.attribute == attribute and one.layer is not None]
        return max(own, key=lambda one: one.share)

    def enough(self, attribute: str, layer: int | None) -> int:
        """Return the fewest clusters of a layer that say 95 % of what its best number of clusters says."""
        shares = {size: one.share for size in self.sizes if (one := self.at(attribute, layer, size))}
        most = max(shares.values())
        return min(size for size, share in shares.items() if share >= ENOUGH * most)

    def sentences(self) -> list[str]:
        """Return what follows for the choice of layers and clusters, one sentence or two per finding."""
        return [*(self._finding(name) for name in self.attributes), *self._advice()]

    def _finding(self, attribute: str) -> str:
        best = self.best(attribute)
        told = (
            f"{_NAMES[attribute]}: layer {best.layer} keeps most, {_percent(best.share)} with {best.clusters} clusters"
        )
        reference = self.at(attribute, None, best.clusters)
        if reference is not None:
            told += f" (MFCC: {_percent(reference.share)})"
        fewer = self.enough(attribute, best.layer)
        at = self.at(attribute, best.layer, fewer)
        if fewer < best.clusters and at is not None:
            told += f"; {fewer} clusters are enough for {_percent(at.share)}"
        return told + "."

    def _advice(self) -> list[str]:
        if "phone" not in self.attributes:
            return [
                "Which layer keeps the content cannot be said without labels of phones: "
                "give a folder of .lab files (--labels)."
            ]
        content = self.best("phone")
        size = self.enough("phone", content.layer)
        advice = [f"For content, cluster layer {content.layer} with k = {size}."]
        voice = [name for name in _VOICE if name in self.attributes]
        if not voice:
            return advice

        def kept(layer: int) -> float:
            return sum(one.share for name in voice if (one := self.at(name, layer, size))) / len(voice)

        layer = max(self.layers, key=kept)
        what = " and ".join(voice)
        if content.layer is None or kept(layer) - kept(content.layer) < _CLOSE:
            advice.append(f"No other layer keeps clearly more of {what} than this one: one codebook does.")
        else:
            mean = " on average" if len(voice) > 1 else ""
            advice.append(
                f"For a second codebook that adds the voice, cluster layer {layer}: of {what} it keeps "
                f"{_percent(kept(layer))}{mean} where layer {content.layer} keeps {_percent(kept(content.layer))}."
            )
        return advice


_NAMES = {"phone": "Phones", "speaker": "Speakers", "pitch": "Pitch", "energy": "Energy"}


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
