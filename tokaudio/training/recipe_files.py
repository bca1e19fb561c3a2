"""Recipes from TOML files, and those of the package.

recipe = read_recipe("my-codec.toml")  # or read_preset("quick")
"""

from __future__ import annotations

import os
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from tokaudio.errors import UnknownNameError, one_line
from tokaudio.training.recipe import Recipe, RecipeError
from tokaudio.training.recipe_reader import read_fields, unknown_key


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    r"""Read a recipe from a TOML file.

    Raises:
        RecipeError: if it cannot be read, or has an unknown key or a value that cannot be; the message names both, and
            the key that was likely meant.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "a.toml")
        ...     _ = file.write_text('body.name = "spectral"\nquantizer.name = "fsq"\nquantizer.levels = [8, 5]')
        ...     read_recipe(file).quantizer
        Part(name='fsq', options={'levels': [8, 5]})
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = f"cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8 text'})"
        raise RecipeError(one_line(path, problem, "give a recipe in TOML, or --preset")) from error
    return parse_recipe(text, os.fspath(path))


def list_presets() -> list[str]:
    """Return the names of the recipes inside the package.

    Example:
        >>> "quick" in list_presets()
        True
    """
    folder = resources.files("tokaudio.training") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_preset(name: str) -> Recipe:
    """Return a recipe of the package.

    Raises:
        UnknownNameError: if there is none of this name.

    Example:
        >>> read_preset("quick").body.name
        'spectral'
    """
    if name not in list_presets():
        raise UnknownNameError(f"no preset is called {name!r}; there are {', '.join(list_presets())}")
    text = (resources.files("tokaudio.training") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return parse_recipe(text, f"{name}.toml")


def parse_recipe(text: str, path: str) -> Recipe:
    """Return the recipe that a TOML text holds; `path` is what messages name.

    Raises:
        RecipeError: as `read_recipe`.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(one_line(path, f"is no TOML ({error})".replace(";", ","), "correct it")) from error
    for key in ("body", "quantizer"):
        if key in tree:
            tree[key] = _part(tree[key], key)
    try:
        recipe: Recipe = read_fields(Recipe, tree)
        _check(recipe)
    except ValueError as error:
        problem, _, remedy = str(error).partition("; ")
        raise RecipeError(one_line(path, problem, remedy or "correct it")) from error
    return recipe


def _part(table: Any, key: str) -> Any:
    """Return `{name, options}` of a table whose other keys are options."""
    if not isinstance(table, dict):
        return table
    return {"name": table.get("name", "spectral" if key == "body" else "rvq")} | {
        "options": {name: value for name, value in table.items() if name != "name"}
    }


def _check(recipe: Recipe) -> None:
    """Raise `ValueError` for what no training can do."""
    from tokaudio.training.bodies import body_class

    if recipe.start_from and recipe.body:
        raise ValueError("start_from brings its own body; leave body out")
    if recipe.weight_norm and not recipe.start_from:
        raise ValueError("weight_norm is of start_from; write it in the table [body]")
    if not recipe.start_from and not (recipe.body and recipe.quantizer):
        missing = "quantizer" if recipe.body else "body"
        raise ValueError(f"has no {missing}; add a table [{missing}] with a name, or start_from")
    if recipe.body:
        known = body_class(recipe.body.name).option_names()
        for option in recipe.body.options:
            if option not in known:
                raise ValueError(unknown_key(f"body.{option}", option, known))
    heads = recipe.losses.heads
    if (heads.phones or heads.speakers) and not heads.weight:
        raise ValueError("losses.heads has no weight; add one, such as weight = 0.1")
    data, stages = recipe.data, recipe.losses.spectral
    limits = {
        "data.batch": data.batch >= 1,
        "data.crop_seconds": data.crop_seconds > 0,
        "data.validation": 0 <= data.validation < 1,
        "schedule.steps": recipe.schedule.steps >= 1,
        "schedule.peak": recipe.schedule.peak > 0,
        "initial_batches": recipe.initial_batches >= 1,
        "average": 0 <= recipe.average < 1,
        "losses.overlap": recipe.losses.overlap >= 1,
        "losses.spectral": bool(stages) and stages[0].from_step == 0,
    }
    for name, fine in limits.items():
        if not fine:
            raise ValueError(f"{name} is out of range; see docs/training.md")
