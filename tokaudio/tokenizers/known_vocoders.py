"""Published vocoders of units, and which semantic tokenizers they are for.

Their units are those of the k-means that was published with them: other centroids of the same layers are other units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokaudio.nn.ssl import SpeechSizes
from tokaudio.tokenizers.backbones import BackboneSizes

_SIX = (1, 3, 7, 12, 18, 23)


@dataclass(frozen=True)
class KnownVocoder:
    """A published vocoder.

    Attributes:
        name: a repository, or what its publisher calls it.
        backbone: the speech model, as on the Hub.
        layers: whose units it speaks.
        codebook_size: V, units per layer.
        width: D of the backbone.
        conv_norm: of the backbone.
        relative: whether the backbone is a WavLM.
        some: whether it speaks where some of the layers are missing.
    """

    name: str
    backbone: str
    layers: tuple[int, ...]
    codebook_size: int
    width: int = 768
    conv_norm: str = "group"
    relative: bool = False
    some: bool = False

    def fits(self, sizes: BackboneSizes, layers: Sequence[int], layer_sizes: Sequence[int]) -> bool:
        """Return whether it may be the vocoder of a tokenizer: as far as sizes tell."""
        if not isinstance(sizes, SpeechSizes):
            return False
        shape = (sizes.width, sizes.conv_norm, sizes.buckets > 0)
        known = set(layers) <= set(self.layers) if self.some else set(self.layers) <= set(layers)
        found = [size for layer, size in zip(layers, layer_sizes, strict=True) if layer in self.layers]
        return shape == (self.width, self.conv_norm, self.relative) and known and set(found) == {self.codebook_size}


KNOWN = (
    KnownVocoder(
        "speechbrain/hifigan-wavlm-k1000-LibriTTS",
        "microsoft/wavlm-large",
        _SIX,
        1000,
        width=1024,
        conv_norm="layer",
        relative=True,
        some=True,
    ),
    KnownVocoder(
        "speechbrain/hifigan-hubert-k1000-LibriTTS",
        "facebook/hubert-large-ll60k",
        _SIX,
        1000,
        width=1024,
        conv_norm="layer",
        some=True,
    ),
    KnownVocoder(
        "speechbrain/hifigan-wav2vec2-k1000-LibriTTS",
        "facebook/wav2vec2-large",
        _SIX,
        1000,
        width=1024,
        some=True,
    ),
    KnownVocoder("code_hifigan/hubert_base_100_lj", "facebook/hubert-base-ls960", (6,), 100),
    KnownVocoder("hubert-base-ls960-layer-9-kmeans-500-hifigan", "facebook/hubert-base-ls960", (9,), 500),
    KnownVocoder("hubert-base-ls960-layer-9-kmeans-expresso-2000-hifigan", "facebook/hubert-base-ls960", (9,), 2000),
    KnownVocoder("code_hifigan/mhubert_vp_en_es_fr_it3_400k_layer11_km1000_lj", "mHuBERT (en, es, fr)", (11,), 1000),
)


def vocoder_remedy(sizes: BackboneSizes, layers: Sequence[int], layer_sizes: Sequence[int]) -> str:
    """Return what to do about a tokenizer without a vocoder: which one may fit, and how to give it.

    Example:
        >>> vocoder_remedy(SpeechSizes(), (6,), (100,)).partition(", for")[0]
        'give it one with with_vocoder(load_vocoder(...)): code_hifigan/hubert_base_100_lj'
        >>> vocoder_remedy(SpeechSizes(), (5,), (100,)).partition(" (")[0]
        'give it one that was trained on its units with with_vocoder(load_vocoder(...))'
    """
    fitting = [known for known in KNOWN if known.fits(sizes, layers, layer_sizes)]
    if fitting:
        named = " or ".join(f"{known.name}, for the k-means published with it on {known.backbone}" for known in fitting)
        return f"give it one with with_vocoder(load_vocoder(...)): {named}"
    return "give it one that was trained on its units with with_vocoder(load_vocoder(...)) (no published one is known)"
