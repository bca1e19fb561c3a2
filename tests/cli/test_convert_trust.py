"""`tokaudio convert --trust`: k-means in pickles become a tokenizer, or a safe file; on load they are never opened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.checkpoints import pickles
from tests.cli.support import Cli, names
from tests.tokenizers.test_semantic_files import hub, kmeans, with_pickles, with_vocoder
from tokaudio import Tokenizer
from tokaudio.tokenizers.centroids import read_centroids
from tokaudio.tokenizers.semantic_files import from_parts

WRITTEN = ["README.md", "config.json", "model.safetensors"]


def test_a_folder_as_published_becomes_a_tokenizer(cli: Cli, place: Path) -> None:
    with_pickles(hub(Path("wavlm")))
    done = cli("convert", "--trust", "wavlm", "units")
    assert (done.code, done.err) == (0, "") and done.out.startswith("converted units (semantic, ")
    assert names(Path("units")) == WRITTEN
    whole = from_parts("wavlm", trust=True, name="units")
    assert Tokenizer.from_pretrained("./units").fingerprint == whole.fingerprint
    assert cli("encode", "in.wav", "a.npz", "-t", "./units").code == 0
    with_pickles(Path("kmeans-only"))
    document = json.loads(
        cli("convert", "--trust", "kmeans-only", "one", "--backbone", "wavlm", "--layers", "3", "--json").out
    )
    assert (document["tokenizer"], document["family"], document["output"]) == ("one", "semantic", "one")
    assert document["fingerprint"] == whole.keep_layers([3]).fingerprint
    path = "kmeans-only/kmeans/LibriSpeech_wavlm_k12_L3.pt"
    assert cli("convert", "--trust", path, "two", "--backbone", "wavlm").code == 0
    assert Tokenizer.from_pretrained("./two").fingerprint == document["fingerprint"]
    assert cli("convert", "one", "three", "--layers", "3").code == 0, "tokaudio's own folders too"
    done = cli("convert", "--trust", "mini-codec", "four")
    assert done.code == 0 and "mini-codec" in done.out, "a trust that is not needed changes nothing"


def test_a_vocoder_makes_it_speak(cli: Cli, place: Path) -> None:
    with_vocoder(with_pickles(hub(Path("wavlm"))))
    assert cli("convert", "--trust", "wavlm", "units").code == 0
    assert cli("roundtrip", "in.wav", "out.wav", "-t", "./units").code == 0
    assert cli("convert", "--trust", "wavlm", "mute", "--vocoder", "none").code == 0
    done = cli("roundtrip", "in.wav", "no.wav", "-t", "./mute")
    assert done.code == 2 and "has no vocoder" in done.failures[0]
    other = ("convert", "--trust", "wavlm/kmeans", "other", "--backbone", "wavlm")
    assert cli(*other, "--vocoder", "wavlm").code == 0
    assert Tokenizer.from_pretrained("./other").decodes


def test_one_file_becomes_safe_centroids(cli: Cli, place: Path) -> None:
    with_pickles(hub(Path("wavlm")))
    for layer in (1, 3):
        path = f"wavlm/kmeans/LibriSpeech_wavlm_k12_L{layer}.pt"
        done = cli("convert", "--trust", path, f"wavlm/kmeans/L{layer}.safetensors")
        assert (done.code, done.err) == (0, "") and "(12 centroids of 16 dimensions) to wavlm/kmeans" in done.out
    wanted = torch.from_numpy(kmeans(3).cluster_centers_)
    assert torch.equal(read_centroids("wavlm/kmeans/L3.safetensors"), wanted)
    assert Tokenizer.from_pretrained("./wavlm").fingerprint == from_parts("wavlm", trust=True).fingerprint
    Path(path).rename("km.bin")
    document = json.loads(cli("convert", "--trust", "km.bin", "a.safetensors", "--layers", "6", "--json").out)
    assert {key: document[key] for key in ("centroids", "dimensions", "layer")} == {
        "centroids": 12, "dimensions": 16, "layer": 6,
    }  # fmt: skip
    assert json.loads(cli("convert", "--trust", "km.bin", "b.safetensors", "--json").out)["layer"] is None
    done = cli("convert", "--trust", "km.bin", "a.safetensors")
    assert done.code == 2 and "a.safetensors" in done.failures[0]
    assert cli("convert", "--trust", "km.bin", "a.safetensors", "-f").code == 0


def test_without_trust_the_command_is_told(cli: Cli, place: Path) -> None:
    with_pickles(hub(Path("wavlm")))
    path = "wavlm/kmeans/LibriSpeech_wavlm_k12_L1.pt"
    for arguments, command in (
        (("convert", "wavlm", "out"), "tokaudio convert --trust wavlm DST"),
        (("convert", "wavlm/kmeans", "out", "--backbone", "wavlm"), "--trust wavlm/kmeans DST --backbone wavlm"),
        (("convert", path, "out"), f"tokaudio convert --trust {path} DST.safetensors"),
        (("convert", path, "out.safetensors"), f"tokaudio convert --trust {path} out.safetensors"),
        (("encode", "in.wav", "out.npz", "-t", "./wavlm"), "tokaudio convert --trust wavlm DST"),
        (("encode", "in.wav", "out.npz", "-t", path), f"tokaudio convert --trust {path} DST.safetensors"),
        (("encode", "in.wav", "out.npz", "-t", "wavlm/kmeans"), "--trust wavlm/kmeans DST --backbone FOLDER"),
    ):
        done = cli(*arguments)
        (line,) = done.failures
        assert done.code == 2 and line.endswith(command), line
        assert "scikit-learn's k-means in" in line and "which can hold any program" in line
        assert not Path("out").exists() and not Path("out.npz").exists()
    Path("wavlm/kmeans").rename("elsewhere")
    done = cli("encode", "in.wav", "out.npz", "-t", "./wavlm")
    assert done.code == 2 and "fit-kmeans" in done.failures[0] and "convert --trust" in done.failures[0]


@pytest.mark.parametrize("attack", ["command", "eval", "socket", "array beyond the file", "doubling"])
def test_hostile_files_do_nothing_even_when_trusted(cli: Cli, place: Path, attack: str) -> None:
    mark = place / "it-ran"
    hub(Path("wavlm"))
    Path("wavlm/km_L1.pt").write_bytes(pickles.hostile(str(mark))[attack])
    for arguments in (
        ("convert", "--trust", "wavlm", "out"),
        ("convert", "--trust", "wavlm/km_L1.pt", "out.safetensors"),
        ("convert", "wavlm", "out"),
        ("encode", "in.wav", "out.npz", "-t", "./wavlm"),
        ("encode", "in.wav", "out.npz", "-t", "./wavlm/km_L1.pt"),
    ):
        done = cli(*arguments)
        assert done.code == 2 and len(done.failures) == 1
    assert not mark.exists() and not {"out", "out.npz", "out.safetensors"} & set(names(place))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("missing.bin", "out", "--backbone", "wavlm"), "missing.bin: is missing; check the path"),
        (("missing.bin", "out.safetensors"), "missing.bin: is missing; give a file"),
        (("in.wav", "out.safetensors"), "in.wav: holds no k-means; give a file that"),
        (("wavlm", "out.safetensors"), "wavlm: is a folder, and DST a file; give one file"),
        (("in.npz", "out.safetensors", "--layers", "1,2"), "--layers 1,2: a file of centroids is for one layer"),
        (("wavlm", "out", "--layers", "7,x"), "--layers 7,x: is no list of numbers from 0 on; write numbers"),
        (("wavlm", "out", "--layers", ""), "--layers : is no list of numbers"),
        (("mini-codec", "out", "--layers", "1"), "--layers 1: mini-codec is a compression tokenizer"),
        (("wavlm", "out", "--backbone", "no-such"), "is a backbone without centroids"),
    ],
)
def test_what_cannot_be_converted_is_one_line(cli: Cli, place: Path, arguments: tuple[str, ...], problem: str) -> None:
    hub(Path("wavlm"))
    done = cli("convert", "--trust", *arguments)
    (line,) = done.failures
    assert done.code == 2 and problem in line
    assert not Path("out").exists() and not Path("out.safetensors").exists()
