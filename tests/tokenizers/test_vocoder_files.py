"""Published files of vocoders: SpeechBrain's and textlesslib's layouts, and what is wrong with them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tests.tokenizers.test_vocoded import PLAIN, POOLED, vocoder
from tokaudio.errors import CheckpointError, HubError, TokensError, UnknownNameError
from tokaudio.nn.unit_hifigan import UnitHiFiGANSizes
from tokaudio.tokenizers import vocoder_files
from tokaudio.tokenizers.unit_vocoder import UnitFacts, UnitVocoder
from tokaudio.tokenizers.vocoder_files import load_vocoder
from tokaudio.tokenizers.vocoder_names import code_generator_names, speechbrain_names

YAML = """
seed: 1
__set_seed: !apply:torch.manual_seed [!ref <seed>]
sample_rate: 16000
normalize: {normalised}
up: [5, 8, 8]
upsample_factors: !ref <up>
generator: !new:speechbrain.lobes.models.HifiGAN.UnitHifiganGenerator
  upsample_factors: !ref <upsample_factors>
  resblock_dilation_sizes: [[1, 3], [1, 3]]
  vocab_size: !ref <seed> * 120 + 1
  normalize_speaker_embeddings: !ref <normalize>
  {more}
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
  loadables:
    generator: !ref <generator>
"""
CONFIG: dict[str, Any] = {
    "resblock": "1",
    "upsample_rates": [5, 8, 8],
    "upsample_kernel_sizes": [11, 16, 8],
    "resblock_kernel_sizes": [3, 7],
    "resblock_dilation_sizes": [[1, 3], [1, 3]],
    "num_embeddings": 40,
    "f0": False,
    "multispkr": None,
    "sampling_rate": 16_000,
}


def split(tensors: dict[str, Tensor], ends: tuple[str, str]) -> dict[str, Tensor]:
    """Return tensors with weight norm: a convolution's weight as its norm and a direction of another length."""
    found = {}
    for name, value in tensors.items():
        if value.dim() == 3:
            stem = name.removesuffix("weight")
            found[stem + ends[0]] = value.flatten(1).norm(dim=1)[:, None, None].clone()
            found[stem + ends[1]] = 3 * value.contiguous()
        else:
            found[name] = value.clone()
    return found


def speechbrain(folder: Path, made: UnitVocoder, *, more: str = "", **changes: Tensor) -> Path:
    state, sizes = made.state_dict(), made.network.sizes
    named = {their: state[our] for our, their in speechbrain_names(sizes).items()}
    ends = ("parametrizations.weight.original0", "parametrizations.weight.original1")
    folder.mkdir(exist_ok=True)
    torch.save({**split(named, ends), "var_predictor.proj.bias": torch.ones(1), **changes}, folder / "generator.ckpt")
    (folder / "hyperparams.yaml").write_text(YAML.format(normalised=str(sizes.normalised), more=more))
    return folder


def textless(folder: Path, made: UnitVocoder, *, file: str = "g_00500000", **config: Any) -> Path:
    state = made.state_dict()
    named = {their: state[our] for our, their in code_generator_names(made.network.sizes).items()}
    folder.mkdir(exist_ok=True)
    torch.save({"generator": split(named, ("weight_g", "weight_v"))}, folder / file)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
    return folder


def codes(count: int, seed: int = 3) -> Tensor:
    return torch.randint(0, 40, (count, 30), generator=torch.Generator().manual_seed(seed))


def same(found: UnitVocoder, wanted: UnitVocoder, **extras: Tensor) -> None:
    assert found.network.sizes == wanted.network.sizes and not found.training
    sound = wanted.synthesise(codes(wanted.inputs), extras=extras)
    assert float(sound.std()) > 1e-4
    assert_near(found.synthesise(codes(wanted.inputs), extras=extras), sound)


@pytest.mark.parametrize("changes", [{}, {"speaker_dim": 6, "normalised": True}, {"final_bias": False}])
def test_speechbrains_folders_load(changes: dict[str, Any], tmp_path: Path) -> None:
    made = vocoder(dataclasses.replace(POOLED, **changes))
    loaded = load_vocoder(speechbrain(tmp_path / "hifigan", made), layers=(1, 2, 3))
    assert loaded.facts == dataclasses.replace(made.facts, name="hifigan", origin="hifigan")
    same(loaded, made, **({"item_speaker": torch.arange(6.0)} if changes.get("speaker_dim") else {}))
    from_file = load_vocoder(tmp_path / "hifigan" / "generator.ckpt", layers=(1, 2, 3), name="mine")
    assert from_file.name == "mine"


def test_small_blocks_and_single_layers_of_speechbrain_load(tmp_path: Path) -> None:
    sizes = dataclasses.replace(POOLED, units=41, attention_dim=0, paired=False)
    made = UnitVocoder(UnitFacts("a", 40, reserved=1), sizes).eval()
    loaded = load_vocoder(speechbrain(tmp_path, made))
    assert (loaded.facts.layers, loaded.facts.codebook_size, loaded.facts.reserved) == ((), 40, 1)
    same(loaded, made)


def test_layers_of_the_benchmark_are_known_and_others_stand_in_the_file(tmp_path: Path) -> None:
    sizes = dataclasses.replace(POOLED, units=6001)
    made = UnitVocoder(UnitFacts("a", 1000, (1, 3, 7, 12, 18, 23), reserved=1), sizes).eval()
    assert load_vocoder(speechbrain(tmp_path, made)).facts.layers == (1, 3, 7, 12, 18, 23)
    assert load_vocoder(speechbrain(tmp_path, made), layers=(1, 2, 3)).facts.codebook_size == 2000
    made = vocoder(layers=(2, 4, 6))
    folder = speechbrain(tmp_path, made)
    (folder / "hyperparams.yaml").write_text((folder / "hyperparams.yaml").read_text() + "layer: [2, 4, 6]\n")
    assert load_vocoder(folder).facts == dataclasses.replace(made.facts, name=folder.name, origin=folder.name)


@pytest.mark.parametrize("changes", [{}, {"speakers": 4}, {"speakers": 4, "styles": 3}, {"duration_dim": 8}])
def test_textlesslibs_files_load(changes: dict[str, int], tmp_path: Path) -> None:
    made = vocoder(dataclasses.replace(PLAIN, **changes), (6,))
    loaded = load_vocoder(textless(tmp_path / "code_hifigan", made), layers=(6,))
    assert loaded.facts == dataclasses.replace(made.facts, name="code_hifigan", origin="code_hifigan")
    same(loaded, made, item_speaker=torch.tensor(2), item_style=torch.tensor(1))
    other = textless(tmp_path / "other", made, file="generator.pt")
    same(load_vocoder(other / "generator.pt"), made)
    same(load_vocoder(other), made)


def test_durations_are_predicted_where_there_is_a_predictor(tmp_path: Path) -> None:
    made = vocoder(dataclasses.replace(PLAIN, duration_dim=8), (6,))
    made.network.durations.projection.bias.fill_(1.2)
    made.network.durations.projection.weight.mul_(4)
    units = torch.tensor([3, 7, 1, 39, 0, 12])
    durations = load_vocoder(textless(tmp_path, made)).durations(units)
    assert durations.shape == (6,) and durations.dtype == torch.int64 and int(durations.min()) >= 1
    assert len(durations.unique()) > 1
    x = made.network.units.weight[units].T[None]
    predictor = made.network.durations
    for conv, norm in zip(predictor.convs, predictor.norms, strict=True):
        x = torch.nn.functional.conv1d(x, conv.weight, conv.bias, padding=1).relu()
        x = norm(x.transpose(1, 2)).transpose(1, 2)
    logarithms = predictor.projection(x.transpose(1, 2))[0, :, 0]
    assert torch.equal(durations, (logarithms.exp() - 1).round().clamp(min=1).long())
    with pytest.raises(TokensError, match="tiny-vocoder: predicts no durations"):
        vocoder(PLAIN, (6,)).durations(units)


def test_repositories_of_the_hub_are_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, asked = vocoder(), []

    def fetch(repo: str, *, files: tuple[str, ...], revision: str | None) -> Path:
        asked.append((repo, files, revision))
        return speechbrain(tmp_path, made)

    monkeypatch.setattr(vocoder_files, "fetch_folder", fetch)
    loaded = load_vocoder("speechbrain/hifigan@v1", layers=(1, 2, 3))
    assert loaded.name == "speechbrain/hifigan"
    assert asked == [("speechbrain/hifigan", ("generator.ckpt", "hyperparams.yaml"), "v1")]
    monkeypatch.undo()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HubError, match=r"generator\.ckpt"):
        load_vocoder("speechbrain/hifigan-of-nobody")
    with pytest.raises(UnknownNameError, match="missing; check the path"):
        load_vocoder(tmp_path / "nothing")


def change_yaml(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "hyperparams.yaml"
        path.write_text(path.read_text().replace(old, new))

    return change


def save(**tensors: Tensor | None) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "generator.ckpt"
        merged = {**torch.load(path, weights_only=True), **tensors}
        torch.save({name: value for name, value in merged.items() if value is not None}, path)

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda folder: (folder / "hyperparams.yaml").unlink(), "hyperparams.yaml: is missing"),
        (change_yaml("generator: !new", "other: !new"), "has no generator in it"),
        (change_yaml("upsample_factors: !ref <upsample_factors>", ""), "no field 'upsample_factors'"),
        (change_yaml("[5, 8, 8]", "[5, 8, 9]"), "kernels"),
        (change_yaml("[[1, 3], [1, 3]]", "[[1, 3], 5]"), "must be a list of 1 to 16"),
        (change_yaml("[[1, 3], [1, 3]]", "[[1, 3], [1, 3, 9]]"), "lacks tensor 'resblocks.1.convs1.2.conv.bias'"),
        (change_yaml("normalize: False", "normalize: maybe"), "must be true or false"),
        (change_yaml("sample_rate: 16000", "sample_rate: fast"), "has sample_rate 'fast'"),
        (change_yaml("  vocab_size", "  skip_token_embedding: True\n  vocab_size"), "takes no units"),
        (change_yaml("  vocab_size", "  cond_channels: 3\n  vocab_size"), "cond_channels"),
        (save(**{"cond_layer.conv.bias": torch.zeros(2)}), "cond_layer.conv.bias"),
        (save(**{"unit_embedding.weight": None}), "holds no table of units"),
        (save(**{"conv_post.conv.parametrizations.weight.original0": None}), "without"),
        (save(**{"unit_embedding.weight": torch.full((121, 8), torch.nan)}), "NaN"),
        (save(**{"unit_embedding.weight": torch.zeros(120, 8)}), "has 120 units"),
        (save(**{"attn_pooling.0.weight": None}), "has no attention over its units|attn_pooling"),
    ],
)
def test_damaged_files_of_speechbrain_are_refused(change: Callable[[Path], None], problem: str, tmp_path: Path) -> None:
    folder = speechbrain(tmp_path, vocoder())
    change(folder)
    with pytest.raises(CheckpointError, match=problem) as caught:
        load_vocoder(folder, layers=(1, 2, 3))
    assert "\n" not in str(caught.value)


def test_nothing_in_a_configuration_is_run(tmp_path: Path) -> None:
    target = tmp_path / "touched"
    hostile = (
        f"bad: !apply:pathlib.Path.touch [!new:pathlib.Path [{target}]]\n  bad2: !!python/object/apply:os.system [x]"
    )
    assert load_vocoder(speechbrain(tmp_path / "a", vocoder(), more=hostile), layers=(1, 2, 3)).inputs == 3
    assert not target.exists()


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"f0": True}, "has f0 in its configuration: it takes more than units"),
        ({"embedder_params": {"a": 1}}, "has embedder_params"),
        ({"upsample_rates": [5, 8]}, "ups.2|has sizes|unknown|not known|do not fit"),
        ({"sampling_rate": 0}, "has sampling_rate 0"),
    ],
)
def test_generators_that_need_more_than_units_are_refused(config: dict[str, Any], problem: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=problem):
        load_vocoder(textless(tmp_path, vocoder(PLAIN, (6,)), **config))


def test_folders_of_textlesslib_must_be_clear(tmp_path: Path) -> None:
    folder = textless(tmp_path, vocoder(PLAIN, (6,)))
    (folder / "g_00600000").write_bytes((folder / "g_00500000").read_bytes())
    with pytest.raises(CheckpointError, match=r"several generators \(g_00500000, g_00600000\)"):
        load_vocoder(folder)
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"g_00600000: has no configuration; put its config.json next to it"):
        load_vocoder(folder / "g_00600000")


def test_codes_that_do_not_fit_are_refused() -> None:
    made = vocoder()
    for wrong in (codes(2), codes(3) + 1, codes(3).float(), codes(3)[:, :0]):
        with pytest.raises(TokensError, match=r"tiny-vocoder: takes codes \[3, T\] from 0 to 39; got"):
            made.synthesise(wrong)


def test_sizes_of_a_published_vocoder() -> None:
    assert UnitHiFiGANSizes(units=6001, unit_dim=1024, attention_dim=128).hop_length == 320
