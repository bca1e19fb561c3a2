"""Semantic tokenizers from a backbone's folder and centroids of its layers, safe and pickled."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from tests.checkpoints import pickles
from tests.tokenizers.test_speech_files import CONFIG, made
from tests.tokenizers.test_speech_files import written as hub
from tokaudio import Tokenizer
from tokaudio.errors import CheckpointError
from tokaudio.nn.unit_hifigan import UnitHiFiGANSizes
from tokaudio.tokenizers.centroids import LayerFile, by_layer, find_centroids, read_centroids, write_centroids
from tokaudio.tokenizers.semantic import SemanticTokenizer
from tokaudio.tokenizers.semantic_files import from_parts
from tokaudio.tokenizers.unit_vocoder import UnitFacts, UnitVocoder
from tokaudio.tokenizers.vocoder_names import speechbrain_names

SOUND = 0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))
WIDTH = CONFIG["hidden_size"]
SMALL: dict[str, Any] = {
    "factors": (20, 16), "kernels": (40, 32), "branch_kernels": (3,), "branch_dilations": ((1, 3),),
}  # fmt: skip


@functools.cache
def kmeans(layer: int, size: int = 12) -> Any:
    """Return a k-means over features of this sound, so that many of its codes are used."""
    normalised = (SOUND - SOUND.mean()) / (SOUND.var(unbiased=False) + 1e-7).sqrt()
    states = made().hidden_states(normalised, (layer,))[0].numpy()
    return KMeans(size, n_init=1, random_state=layer).fit(states)


def with_pickles(folder: Path, layers: tuple[int, ...] = (1, 3), compress: int = 3) -> Path:
    """Put k-means beside it as SpeechBrain does."""
    (folder / "kmeans").mkdir(parents=True, exist_ok=True)
    for layer in layers:
        joblib.dump(kmeans(layer), folder / f"kmeans/LibriSpeech_wavlm_k12_L{layer}.pt", compress=compress)
    return folder


def test_published_kmeans_give_the_codes_of_predict(tmp_path: Path) -> None:
    tokenizer = from_parts(with_pickles(hub(tmp_path / "wavlm-tiny")), trust=True)
    assert (tokenizer.spec.name, tokenizer.layers, tokenizer.spec.codebook_sizes) == ("wavlm-tiny", (1, 3), (12, 12))
    assert "LibriSpeech_wavlm_k12_L1.pt" in tokenizer.spec.origin and not tokenizer.training
    codes = tokenizer.encode(SOUND, 16_000).codes[0]
    features = tokenizer.features(SOUND)[0].T.split(WIDTH, dim=1)
    for row, layer, states in zip(codes, (1, 3), features, strict=True):
        wanted = kmeans(layer).predict(np.ascontiguousarray(states.numpy()))
        assert row.tolist() == wanted.tolist() and len(row.unique()) > 6


def test_a_folder_with_safe_centroids_opens_directly(tmp_path: Path) -> None:
    folder = with_pickles(hub(tmp_path / "wavlm-tiny"))
    wanted = from_parts(folder, trust=True)
    for number, layer in enumerate(wanted.layers):
        table = wanted.quantizer.books[number].table
        write_centroids(folder / f"kmeans/k12_L{layer}.safetensors", table, layer=layer)
    for path in (folder, folder / "pytorch_model.bin"):
        for family in (Tokenizer, SemanticTokenizer):
            found = family.from_pretrained(path)
            assert isinstance(found, SemanticTokenizer) and found.fingerprint == wanted.fingerprint
    saved = Tokenizer.from_pretrained(found.save_pretrained(tmp_path / "saved"))
    assert torch.equal(saved.encode(SOUND).codes, wanted.encode(SOUND).codes)


def test_the_backbone_may_lie_elsewhere(tmp_path: Path) -> None:
    whole = from_parts(with_pickles(hub(tmp_path / "a")), trust=True)
    hub(tmp_path / "b/backbone")
    with_pickles(tmp_path / "b")
    shutil.copytree(tmp_path / "a/kmeans", tmp_path / "c")
    (tmp_path / "c/config.yaml").write_text("x: 1")
    for path, backbone in ((tmp_path / "b", None), (tmp_path / "c", tmp_path / "a")):
        assert from_parts(path, backbone=backbone, trust=True, name="a").fingerprint == whole.fingerprint
    one = from_parts(tmp_path / "c/LibriSpeech_wavlm_k12_L3.pt", backbone=str(tmp_path / "a"), trust=True, name="one")
    assert (one.spec.name, one.layers, len(one.backbone.layers)) == ("one", (3,), 3)
    assert from_parts(tmp_path / "a", layers=[3, 1], trust=True).layers == (3, 1)
    (tmp_path / "c/LibriSpeech_wavlm_k12_L3.pt").rename(tmp_path / "km.bin")
    named = from_parts(tmp_path / "km.bin", backbone=tmp_path / "a", layers=[3], trust=True, name="one")
    assert named.fingerprint == one.fingerprint


def with_vocoder(folder: Path) -> UnitVocoder:
    """Put a vocoder of the units of layers 1 and 3 there, as SpeechBrain publishes them."""
    torch.manual_seed(1)
    sizes = UnitHiFiGANSizes(2 * 12 + 1, unit_dim=8, channels=32, attention_dim=4, padding="reflect", **SMALL)
    vocoder = UnitVocoder(UnitFacts("vocoder", 12, (1, 3), reserved=1), sizes).eval().requires_grad_(False)
    state = vocoder.state_dict()
    folder.mkdir(exist_ok=True)
    torch.save({their: state[our] for our, their in speechbrain_names(sizes).items()}, folder / "generator.ckpt")
    fields = {"upsample_factors": sizes.factors, "resblock_dilation_sizes": sizes.branch_dilations}
    generator = json.dumps({"generator": fields, "layer": [1, 3], "sample_rate": 16_000})
    (folder / "hyperparams.yaml").write_text(generator)
    return vocoder


@pytest.mark.parametrize("place", [".", "vocoder"])
def test_a_vocoder_that_lies_there_comes_along(tmp_path: Path, place: str) -> None:
    folder = with_pickles(hub(tmp_path / "wavlm-tiny"))
    mute = from_parts(folder, trust=True)
    wanted = mute.with_vocoder(with_vocoder(folder / place))
    found = from_parts(folder, trust=True)
    tokens = found.encode(SOUND, 16_000)
    assert found.fingerprint == mute.fingerprint and torch.equal(found.decode(tokens), wanted.decode(tokens))
    assert float(found.decode(tokens).abs().max()) > 0
    assert from_parts(folder, layers=[3], trust=True).decodes, "it can do without some layers"
    assert not from_parts(folder, vocoder="none", trust=True).decodes and not mute.decodes
    elsewhere = from_parts(folder / "kmeans", backbone=folder, vocoder=folder / place, trust=True, name="wavlm-tiny")
    assert torch.equal(elsewhere.decode(tokens), wanted.decode(tokens))
    joblib.dump(kmeans(1, size=9), folder / "kmeans/LibriSpeech_wavlm_k12_L1.pt")
    with pytest.raises(CheckpointError, match=r"(wavlm-tiny|vocoder): .*9.*leave the vocoder out") as caught:
        from_parts(folder, trust=True)
    assert "\n" not in str(caught.value)


def test_pickles_and_bare_backbones_are_refused_with_the_command(tmp_path: Path) -> None:
    folder = hub(tmp_path / "my hubert")
    for family in (Tokenizer, SemanticTokenizer):
        with pytest.raises(CheckpointError, match=r"is a backbone without centroids.*fit-kmeans.*convert --trust") as e:
            family.from_pretrained(folder)
        assert f"--backbone '{folder}'" in str(e.value)
    with_pickles(folder)
    for path, rest in ((folder, "' DST"), (folder / "kmeans", "/kmeans' DST --backbone FOLDER")):
        for family in (Tokenizer, SemanticTokenizer):
            with pytest.raises(CheckpointError, match=r"in pickles .LibriSpeech_wavlm_k12_L1.pt, ") as caught:
                family.from_pretrained(path)
            message = str(caught.value)
            assert message.endswith(f": tokaudio convert --trust '{folder}{rest}") and "\n" not in message
    (path,) = (folder / "kmeans").glob("*L1.pt")
    with pytest.raises(CheckpointError, match="is scikit-learn's k-means in a pickle, which can hold any program"):
        Tokenizer.from_pretrained(path)
    with pytest.raises(CheckpointError, match="in pickles"):
        from_parts(folder, layers=[1])


@pytest.mark.parametrize("attack", ["command", "eval", "socket", "exec before the k-means"])
def test_hostile_kmeans_are_not_opened_on_load_and_refused_when_trusted(tmp_path: Path, attack: str) -> None:
    folder, mark = hub(tmp_path / "hubert"), tmp_path / "it-ran"
    (folder / "km_L1.pt").write_bytes(pickles.hostile(str(mark))[attack])
    with pytest.raises(CheckpointError, match=r"never opened|without centroids"):
        Tokenizer.from_pretrained(folder)
    with pytest.raises(CheckpointError, match=r"km_L1.pt: asks for|without centroids"):
        from_parts(folder, trust=True)
    assert not mark.exists()


def test_parts_that_do_not_fit_are_named(tmp_path: Path) -> None:
    folder = hub(tmp_path / "hubert")
    path = folder / "km_L2.safetensors"

    def refused(problem: str, **options: Any) -> None:
        with pytest.raises(CheckpointError, match=problem) as caught:
            from_parts(folder, **options)
        assert "\n" not in str(caught.value)

    write_centroids(path, torch.randn(9, 5))
    refused(r"km_L2.safetensors: has centroids of 5 dimensions, and .*hubert states of 16; give the backbone")
    write_centroids(path, torch.full((9, WIDTH), torch.nan), overwrite=True)
    refused("km_L2.safetensors: has centroids with a NaN or an Inf")
    write_centroids(path, torch.randn(9), overwrite=True)
    refused(r"km_L2.safetensors: holds no centroids \[V, D\]")
    write_centroids(path, torch.randn(9, WIDTH), layer=7, overwrite=True)
    refused("has 3 layers, not 7")
    write_centroids(path, torch.randn(9, WIDTH), layer=2, overwrite=True)
    refused(r"hubert: has no centroids of layer 3; give different ones of \[2\]", layers=[2, 3])
    refused(r"hubert: is asked for \[2, 2\]", layers=[2, 2])
    write_centroids(folder / "other_layer2.safetensors", torch.randn(9, WIDTH))
    refused("other_layer2.safetensors: is for layer 2, and so is km_L2.safetensors; keep one")
    (folder / "other_layer2.safetensors").rename(folder / "other.safetensors")
    refused("other.safetensors: does not say which layer it is for; put it in its name")
    with pytest.raises(CheckpointError, match="has no backbone; name it"):
        from_parts(tmp_path)


def test_files_of_centroids_are_found_by_what_they_hold(tmp_path: Path) -> None:
    folder = with_pickles(hub(tmp_path / "hubert"), (1, 2))
    write_centroids(folder / "kmeans/any.safetensors", torch.eye(3), layer=2)
    (folder / "kmeans/.hidden_L3.pt").write_bytes(b"\x80")
    (folder / "empty_L3.pt").touch()
    found = {file.path.name: (file.layer, file.pickled) for file in find_centroids(folder)}
    assert found == {"LibriSpeech_wavlm_k12_L1.pt": (1, True), "any.safetensors": (2, False)}
    assert torch.equal(read_centroids(folder / "kmeans/any.safetensors"), torch.eye(3))
    files = [LayerFile(Path(f"km_L{n}.bin"), n, True) for n in (12, 3, 7)]
    assert list(by_layer(files, None, "x")) == [3, 7, 12] and list(by_layer(files, [7, 3], "x")) == [7, 3]


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("LibriSpeech_hubert_k1000_L18.pt", 18), ("hubert_base_ls960_L9_km500.bin", 9), ("km-layer-6.bin", 6),
        ("L0.pt", 0), ("km_layer11.bin", 11), ("km.bin", None), ("km_L6_L7.bin", None), ("LL7.bin", None),
        ("km_L7b.bin", None),
    ],
)  # fmt: skip
def test_layers_in_names(name: str, layer: int | None, tmp_path: Path) -> None:
    joblib.dump(KMeans(2), tmp_path / name)
    file = LayerFile.of(tmp_path / name)
    assert file is not None and file.layer == layer and file.pickled
