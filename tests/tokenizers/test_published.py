"""Files as others publish them: found, recognised, loaded and refused by name."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.tokenizers.conftest import make_codec
from tokaudio import Tokenizer
from tokaudio.errors import CheckpointError
from tokaudio.nn.conv import Conv1d
from tokaudio.tokenizers import SpectralCodec
from tokaudio.tokenizers.building import build, load_tensors, make_unfilled, skeleton
from tokaudio.tokenizers.published import PublishedSource, load_published, recognise
from tokaudio.tokenizers.registry import FAMILIES


class Toy(SpectralCodec):
    """A spectral codec published under a prefix, with sizes under a name of its own."""

    FAMILY, TITLE, PREFIX = "toy", "TOY", "net."

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        return f"{cls.PREFIX}encoder.out.weight" in source.names()

    @classmethod
    def from_published(cls, source: PublishedSource) -> "Toy":
        assert source.config is not None
        config = source.config
        tensors = {name.removeprefix(cls.PREFIX): value for name, value in source.tensors().items()}
        return build(lambda: cls.from_config(config), tensors, str(source.path), ignore=["ema."])

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Toy":
        made = super().from_config(config)
        assert isinstance(made, cls)
        return made


class Other(Toy):
    FAMILY, TITLE, PREFIX = "other", "OTHER", "other."


@pytest.fixture(autouse=True)
def families(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for family in (Toy, Other):
        monkeypatch.setitem(FAMILIES, family.FAMILY, family)
    yield


def publish(folder: Path, prefix: str = "net.", file: str = "weights.pth", **more: Tensor) -> SpectralCodec:
    """Write a codec as its authors would, and return it."""
    codec = make_codec()
    folder.mkdir(parents=True, exist_ok=True)
    config = {**codec.config(), "spec": codec.spec.to_dict()}
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {f"{prefix}{name}": value for name, value in codec.state_dict().items()}
    out = tensors.pop(f"{prefix}encoder.out.weight")
    pair = {"weight_g": out.norm(dim=1, keepdim=True), "weight_v": 3 * out}
    tensors |= {f"{prefix}encoder.out.{name}": value for name, value in pair.items()} | more
    if file.endswith(".safetensors"):
        save_file({name: value.contiguous() for name, value in tensors.items()}, folder / file)
    else:
        torch.save({"state_dict": tensors, "epoch": 3}, folder / file)
    return codec


@pytest.mark.parametrize("file", ["weights.pth", "pytorch_model.bin", "model.safetensors"])
def test_folder_and_file_load_and_save_as_ours(tmp_path: Path, file: str, noise: Tensor):
    codec = publish(tmp_path / "in", file=file)
    for path in (tmp_path / "in", tmp_path / "in" / file):
        loaded = Tokenizer.from_pretrained(path)
        assert type(loaded) is Toy and not loaded.training
        assert not any(p.requires_grad for p in loaded.parameters())
        assert all(p.device.type == "cpu" for p in (*loaded.parameters(), *loaded.buffers()))
        assert torch.equal(loaded.encode(noise).codes, codec.encode(noise).codes)
    again = Tokenizer.from_pretrained(loaded.save_pretrained(tmp_path / "out"))
    assert type(again) is Toy and again.fingerprint == loaded.fingerprint
    assert Toy.from_pretrained(tmp_path / "in").fingerprint == loaded.fingerprint


def test_weights_stay_when_the_file_changes(tmp_path: Path):
    publish(tmp_path)
    loaded = Tokenizer.from_pretrained(tmp_path)
    before = {name: value.clone() for name, value in loaded.state_dict().items()}
    with (tmp_path / "weights.pth").open("r+b") as file:
        file.write(bytes((tmp_path / "weights.pth").stat().st_size))
    assert all(torch.equal(value, before[name]) for name, value in loaded.state_dict().items())


def test_another_family_is_named(tmp_path: Path):
    publish(tmp_path, prefix="other.")
    assert type(Tokenizer.from_pretrained(tmp_path)) is Other
    ours = make_codec().save_pretrained(tmp_path / "ours")
    with pytest.raises(CheckpointError, match="is a SpectralCodec, not a Toy"):
        Toy.from_pretrained(ours)
    publish(tmp_path / "toy")
    with pytest.raises(CheckpointError, match=r"toy: is a TOY checkpoint, not a OTHER one; load it with Tokenizer"):
        Other.from_pretrained(tmp_path / "toy")


def test_none_and_several_families_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    publish(tmp_path, prefix="third.")
    with pytest.raises(
        CheckpointError, match=r"of no known family \(configuration with .*, \d+ tensors such as third.*OTHER.*TOY"
    ):
        Tokenizer.from_pretrained(tmp_path)
    monkeypatch.setattr(Toy, "recognises", lambda source: True)
    monkeypatch.setattr(Other, "recognises", lambda source: True)
    with pytest.raises(CheckpointError, match="looks like weights of TOY and of OTHER"):
        recognise(PublishedSource(tmp_path))
    publish(tmp_path / "named", prefix="net.")
    assert type(Toy.from_pretrained(tmp_path / "named")) is Toy, "a class that is named decides for itself"


def test_damage_is_reported_as_damage_and_not_as_an_unknown_family(tmp_path: Path):
    publish(tmp_path)
    (tmp_path / "weights.pth").write_bytes((tmp_path / "weights.pth").read_bytes()[:5000])
    for load in (Tokenizer.from_pretrained, Toy.from_pretrained):
        with pytest.raises(CheckpointError, match=r"weights.pth: is damaged or cut off"):
            load(tmp_path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"net.extra": torch.ones(1)}, "has the unknown tensor 'extra'"),
        ({"net.decoder.out.bias": torch.ones(2)}, r"'decoder.out.bias' has shape \[2\]"),
        ({"net.decoder.out.bias": torch.tensor(float("nan"))}, "'decoder.out.bias' has shape"),
        ({"net.encoder.stack.entry.bias": torch.full((8,), torch.nan)}, "'encoder.stack.entry.bias' holds a NaN"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(tmp_path: Path, change: dict[str, Tensor], problem: str):
    publish(tmp_path, **change)
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(tmp_path)
    publish(tmp_path, **{"net.ema.shadow": torch.ones(1)})
    assert type(Tokenizer.from_pretrained(tmp_path)) is Toy


def test_what_a_family_lets_through_is_still_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    publish(tmp_path)
    codec = make_codec()
    monkeypatch.setattr(Toy, "from_published", lambda source: codec)
    codec.decoder.out.bias[0] = torch.inf
    with pytest.raises(CheckpointError, match=r"tensor 'decoder.out.bias' holds a NaN or an Inf"):
        Tokenizer.from_pretrained(tmp_path)
    monkeypatch.setattr(Toy, "from_published", lambda source: make_codec().half())
    with pytest.raises(CheckpointError, match=r"in torch.float16; save it in float32"):
        Tokenizer.from_pretrained(tmp_path)

    def broken(source: PublishedSource) -> Toy:
        raise KeyError("width\nheight")

    monkeypatch.setattr(Toy, "from_published", broken)
    with pytest.raises(CheckpointError, match=r"does not make a TOY tokenizer \(KeyError: 'width.nheight'\)"):
        Tokenizer.from_pretrained(tmp_path)


def test_which_file_holds_the_weights(tmp_path: Path):
    def pick(*names: str, prefer: tuple[str, ...] = ()) -> str:
        for old in tmp_path.iterdir():
            old.unlink()
        for name in names:
            (tmp_path / name).write_bytes(b"x")
        return PublishedSource(tmp_path).weight_file(prefer).name

    assert pick("a.pt", "pytorch_model.bin", "model.safetensors", "b.safetensors") == "model.safetensors"
    assert pick("a.pt", "pytorch_model.bin", "b.safetensors") == "pytorch_model.bin"
    assert pick("a.pt", "b.safetensors", "c.ckpt") == "b.safetensors"
    assert pick("a.nemo", "optimizer.pt", "training_args.bin", "config.json", "README.md", ".b.pt") == "a.nemo"
    shards = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json")
    assert pick(*shards) == "model.safetensors.index.json"
    assert pick("model.safetensors", "tokenizer-1.safetensors", prefer=("tokenizer-*",)) == "tokenizer-1.safetensors"
    with pytest.raises(CheckpointError, match=r"holds several files of weights \(a.pt, b.pth\); give the path"):
        pick("a.pt", "b.pth")
    with pytest.raises(CheckpointError, match=r"several files of weights \(a.safetensors, b.safetensors\)"):
        pick("a.safetensors", "b.safetensors", "c.pt")
    with pytest.raises(CheckpointError, match=r"holds no weights; give a folder with one of \.safetensors"):
        pick("config.json")
    with pytest.raises(CheckpointError, match="nowhere: is missing"):
        load_published(PublishedSource(tmp_path / "nowhere"))


def test_where_the_configuration_comes_from(tmp_path: Path):
    torch.save({"a": torch.ones(1)}, tmp_path / "a.ckpt")
    torch.save({"a": torch.ones(1)}, tmp_path / "b.ckpt")
    assert PublishedSource(tmp_path / "a.ckpt").config is None
    (tmp_path / "b.yaml").write_text("x: !!python/tuple [1, 2]\nclass_path: a.B\n")
    assert PublishedSource(tmp_path / "a.ckpt").config == {"x": [1, 2], "class_path": "a.B"}
    (tmp_path / "c.yml").write_text("y: 2\n")
    assert PublishedSource(tmp_path / "a.ckpt").config is None, "which of two is not known"
    assert PublishedSource(tmp_path / "b.ckpt").config == {"x": [1, 2], "class_path": "a.B"}, "that of its own name"
    (tmp_path / "config.json").write_text('{"z": 3}')
    assert PublishedSource(tmp_path / "a.ckpt").config == PublishedSource(tmp_path).config == {"z": 3}
    (tmp_path / "config.json").write_text("[3]")
    with pytest.raises(CheckpointError, match=r"config.json: holds no fields"):
        _ = PublishedSource(tmp_path).config


def test_names_of_sources(tmp_path: Path):
    cached = tmp_path / "models--facebook--encodec_24khz" / "snapshots" / "0123"
    assert PublishedSource(cached).name == "facebook/encodec_24khz"
    assert PublishedSource(tmp_path / "x" / "a.pt").name == "a.pt"
    assert PublishedSource(tmp_path, name="a/b").name == "a/b"


def test_nothing_is_read_twice(tmp_path: Path):
    publish(tmp_path)
    source = PublishedSource(tmp_path)
    assert source.checkpoint() is source.checkpoint()
    assert source.checkpoint().metadata == {"epoch": 3}
    assert source.shapes() is source.shapes()
    assert source.names() == source.tensors().keys()


class NeedsValues(nn.Module):
    """Looks at its own weights while it is made, as the meta device does not allow."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.first = float(self.layer.weight[0, 0])
        self.register_buffer("window", torch.hann_window(4), persistent=False)
        self.register_buffer("count", torch.zeros(1, dtype=torch.int64))


def test_building_fills_everything_and_copes_without_the_meta_device():
    assert skeleton(NeedsValues) is None
    tensors = {"layer.weight": torch.ones(2, 2).half(), "layer.bias": torch.ones(2), "count": torch.tensor([7])}
    module = build(NeedsValues, tensors, "x.pt")
    assert module.layer.weight.dtype == torch.float32 and module.count.item() == 7
    assert torch.equal(module.window, torch.hann_window(4))
    module.layer.bias.add_(1)
    assert tensors["layer.bias"].tolist() == [1, 1], "weights are copies"
    with pytest.raises(CheckpointError, match="lacks tensor 'count' and 2 more; these look like SNAC weights"):
        load_tensors(module, {}, "x.pt", describe=lambda: "these look like SNAC weights")


def test_weights_take_the_layout_of_the_module():
    conv = Conv1d(4, 3, 5)
    strides = conv.weight.stride()
    load_tensors(conv, {"weight": torch.ones(3, 4, 5), "bias": torch.ones(3)}, "x.pt")
    assert conv.weight.stride() == strides != torch.ones(3, 4, 5).stride()


def test_the_meta_device_needs_no_compiler():
    code = (
        "import sys, torch; from tokaudio.quantizers.codebook import Codebook;"
        "from tokaudio.tokenizers.building import skeleton; skeleton(lambda: Codebook(4, 2));"
        "sys.exit('torch._dynamo.convert_frame' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_random_weights_are_left_out_only_while_making():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    make_unfilled(lambda: nn.Sequential(nn.Conv1d(4, 4, 3), nn.Linear(4, 4), nn.Embedding(4, 4)))
    assert torch.equal(torch.get_rng_state(), state)
    assert float(nn.Linear(4, 4).weight.detach().abs().sum()) > 0
    assert dataclasses.is_dataclass(make_codec().shape)
