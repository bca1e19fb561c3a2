"""Recipes: what is read, what is refused and how, and the ones in the package."""

from pathlib import Path

import pytest

from tokaudio.errors import UnknownNameError
from tokaudio.training.augment import Augmentation
from tokaudio.training.codec_training import make_nets
from tokaudio.training.loop import Schedule
from tokaudio.training.recipe import Part, RecipeError
from tokaudio.training.recipe_files import list_presets, parse_recipe, read_preset, read_recipe

LEAST = 'body.name = "spectral"\nquantizer.name = "fsq"\nquantizer.levels = [8, 5]\n'


def test_what_is_left_out_has_defaults_and_numbers_may_be_whole():
    recipe = parse_recipe(LEAST + "[schedule]\nsteps = 7\npeak = 1\n[data.augmentation]\nspeed = 1.5\n", "a.toml")
    assert recipe.body == Part("spectral") and recipe.quantizer == Part("fsq", {"levels": [8, 5]})
    assert recipe.schedule == Schedule(7, peak=1.0) and isinstance(recipe.schedule.peak, float)
    assert recipe.data.augmentation == Augmentation(speed=1.5)
    assert recipe.facts()["quantizer.options.levels"] == [8, 5] and recipe.facts()["schedule.steps"] == 7


def test_weights_change_at_their_steps():
    stages = "[[losses.spectral]]\nmel = 1\n[[losses.spectral]]\nfrom_step = 10\nmel = 2\n"
    losses = parse_recipe(LEAST + stages, "a.toml").losses
    assert [losses.weights_at(step).mel for step in (0, 9, 10, 99)] == [1.0, 1.0, 2.0, 2.0]
    assert losses.spectral[0].magnitude == 8.0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("[data]\nbacth = 8", "a.toml: has an unknown key data.bacth; did you mean batch?"),
        ("zzz = 1", "a.toml: has an unknown key zzz; there are average, body, clip_norm"),
        ("[data.augmentation]\nsped = 1", "a.toml: has an unknown key data.augmentation.sped; did you mean speed?"),
        ("[[losses.spectral]]\nmell = 1", "a.toml: has an unknown key losses.spectral[0].mell; did you mean mel?"),
        ("seed = 1.5", "a.toml: seed is 1.5; give a whole number"),
        ("seed = true", "a.toml: seed is True; give a whole number"),
        ("average = 'x'", "a.toml: average is 'x'; give a number"),
        ("precision = 'half'", "a.toml: precision is 'half'; give one of float32, bfloat16"),
        ("data = 3", "a.toml: data is 3; write a table"),
        ("[data.augmentation]\ngain_db = [1]", "a.toml: data.augmentation.gain_db is [1]; give a list of 2"),
        ("[schedule]\nwarmup = 3", "a.toml: schedule lacks a key ("),
        ("[data]\nbatch = 0", "a.toml: data.batch is out of range; see docs/training.md"),
        ("[[losses.spectral]]\nfrom_step = 3", "a.toml: losses.spectral is out of range"),
        ("start_from = 'mini-codec'", "a.toml: start_from brings its own body; leave body out"),
        ("[losses.heads]\nspeakers = 'who'", "a.toml: losses.heads has no weight; add one"),
        ("weight_norm = true", "a.toml: weight_norm is of start_from; write it in the table [body]"),
        ("[losses]\noverlap = 0", "a.toml: losses.overlap is out of range; see docs/training.md"),
        ("[", "a.toml: is no TOML ("),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(more: str, message: str):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(LEAST + more, "a.toml")
    assert str(caught.value).startswith(message), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('quantizer.name = "fsq"', "a.toml: has no body; add a table [body] with a name, or start_from"),
        ('body.name = "spectral"', "a.toml: has no quantizer; add a table [quantizer]"),
        (LEAST + "body.latent_dims = 4", "a.toml: has an unknown key body.latent_dims; did you mean latent_dim?"),
    ],
)
def test_bodies_and_quantizers_are_needed_and_looked_at(text: str, message: str):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, "a.toml")
    assert str(caught.value).startswith(message), str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(RecipeError, match=r"none.toml: cannot be read \(No such file or directory\); give a recipe"):
        read_recipe(tmp_path / "none.toml")


def test_presets_can_be_made():
    assert {"quick", "mini-codec"} <= set(list_presets())
    for name in list_presets():
        assert read_preset(name).name == name
    nets, choice = make_nets(read_preset("quick"))
    assert choice.options["seed"] == read_preset("quick").seed
    assert sum(value.numel() for value in nets.body.parameters()) < 3_500_000
    with pytest.raises(
        UnknownNameError, match="no preset is called 'fast'; there are mini-bands, mini-codec, mini-hybrid, quick"
    ):
        read_preset("fast")
