"""Tiny random speech models, k-means and vocoders in their published layouts, for the pages on semantic tokenizers.

Widths are tiny; numbers of layers and of units are the published ones.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import torch

from tests.docs.stages import Stage, setting
from tests.tokenizers import test_vocoder_files as vocoders
from tests.tokenizers.test_speech_files import CONFIG, LARGE, written
from tests.tokenizers.test_vocoded import PLAIN, POOLED
from tokaudio.tokenizers.centroids import write_centroids
from tokaudio.tokenizers.semantic_files import from_parts
from tokaudio.tokenizers.unit_vocoder import UnitFacts, UnitVocoder

WIDTH = CONFIG["hidden_size"]
LAYERS = (1, 3, 7, 12, 18, 23)


def _backbone(folder: str, *, layers: int, kind: str = "hubert") -> Path:
    return written(Path(folder), model_type=kind, num_hidden_layers=layers, **(LARGE if layers == 24 else {}))


def _units(folder: str, layers: tuple[int, ...], *, deep: int) -> None:
    """Make a semantic tokenizer of 1,000 random centroids for each layer."""
    torch.manual_seed(0)
    kmeans = _backbone("backbone", layers=deep) / "kmeans"
    kmeans.mkdir()
    for layer in layers:
        write_centroids(kmeans / f"k1000_L{layer}.safetensors", torch.randn(1000, WIDTH), layer=layer)
    from_parts("backbone", name=folder).save_pretrained(folder)


@setting("docs/backbones.md")
def _backbones(_: Stage) -> None:
    _backbone("hubert-base-ls960", layers=12)


@setting("docs/semantic.md")
def _semantic(_: Stage) -> None:
    _backbone("hubert-large", layers=24)
    # So that there are more than 1,000 frames.
    shutil.copy("speech.wav", "recordings/speech.wav")


@setting("docs/fuse.md")
def _fuse(_: Stage) -> None:
    _units("hubert-units", (9,), deep=12)


@setting("docs/published-kmeans.md")
def _published_kmeans(_: Stage) -> None:
    import joblib
    from sklearn.cluster import KMeans

    _backbone("wavlm-large", layers=24, kind="wavlm")
    Path("kmeans").mkdir()
    for layer in LAYERS:
        fitted = KMeans(12, n_init=1, max_iter=1, random_state=layer).fit(torch.randn(40, WIDTH).numpy())
        joblib.dump(fitted, f"kmeans/LibriSpeech_wavlm_k1000_L{layer}.pt", compress=3)


@setting("docs/vocoders.md")
def _vocoders(stage: Stage) -> None:
    _units("discrete-hubert", LAYERS, deep=24)
    torch.manual_seed(0)
    facts = UnitFacts("tiny", 1000, LAYERS, reserved=1)
    sizes = dataclasses.replace(POOLED, units=6001)
    pooled = vocoders.speechbrain(Path("published"), UnitVocoder(facts, sizes))
    files = {file.name: file.read_bytes() for file in pooled.iterdir()}
    stage.hub.add("speechbrain/hifigan-hubert-k1000-LibriTTS", files)
    voices = UnitVocoder(facts, dataclasses.replace(sizes, speaker_dim=192))
    vocoders.speechbrain(Path("vocoder-of-any-voice"), voices)
    tables = dataclasses.replace(PLAIN, units=1000, speakers=4, styles=2, duration_dim=8)
    made = UnitVocoder(UnitFacts("tiny", 1000, (7,)), tables)
    vocoders.textless(Path("vocoder-of-some-voices"), made, num_embeddings=1000)
