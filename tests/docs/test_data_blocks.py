"""Blocks of JSON and TOML can be read, and mean what their pages say."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from tests.docs.markdown import ROOT, blocks, name_of, pages
from tokaudio.layouts.file import layout_document, layout_from_document
from tokaudio.training.recipe_files import parse_recipe

READERS: dict[str, Callable[[str], Any]] = {"json": json.loads, "toml": tomllib.loads}
PAGES = [name_of(page) for page in pages() if any(one.language in READERS for one in blocks(page))]


@pytest.mark.parametrize("page", PAGES)
def test_data_of_a_page_can_be_read(page: str) -> None:
    for block in blocks(ROOT / page):
        if block.language in READERS:
            try:
                READERS[block.language](block.code)
            except ValueError as error:
                raise AssertionError(f"{page}:{block.line}: {error}") from error


def only_block(page: str, language: str) -> str:
    (code,) = (one.code for one in blocks(ROOT / page) if one.language == language)
    return code


def test_the_recipe_on_the_page_on_training_is_one() -> None:
    recipe = parse_recipe(only_block("docs/training.md", "toml"), "docs/training.md")
    assert (recipe.name, recipe.body.name, recipe.quantizer.name) == ("my-codec", "spectral", "rvq")


def test_the_layout_on_the_page_on_its_file_is_one() -> None:
    document = json.loads(only_block("docs/layouts/tokaudio-json.md", "json"))
    made = layout_document(layout_from_document(document))
    # The page leaves out facts of the tokenizer that no id depends on.
    made["tokenizer"] = {key: made["tokenizer"][key] for key in document["tokenizer"]}
    assert made == document
