"""Every command line on every page is one that the program takes; quick ones run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.docs import codecs, recordings, speech  # noqa: F401 - they register what their pages need
from tests.docs.markdown import ROOT, name_of, pages
from tests.docs.running import run_page
from tests.docs.shell import Command, commands, mentions
from tests.docs.stages import Stage, set_stage
from tests.hub_server import Hub
from tokaudio.catalogue import builtin, find
from tokaudio.cli import run
from tokaudio.cli.app import app
from tokaudio.layouts.named import LAYOUT_NAMES
from tokaudio.probes.tasks import TASKS
from tokaudio.storage.formats import FORMAT_NAMES
from tokaudio.training.recipe_files import list_presets


def readable(page: str) -> list[Command] | None:
    """Return a page's commands, or None where they cannot be read, which a test reports."""
    try:
        return commands(page)
    except ValueError:
        return None


PAGES = [name for name in map(name_of, pages()) if readable(name) != []]
QUICK = {"encode", "decode", "info", "list", "doctor", "corpus encode", "corpus verify", "corpus convert", "data quick"}
"""Commands that run; all others are heard by the program's parser only."""
AFTER_PYTHON = {"docs/fuse.md", "docs/semantic.md", "docs/vocoders.md"}
"""Pages whose commands use what their Python makes."""
NOT_RUN = {
    "tokaudio encode in.wav out.npz -t mimi": "its Python block on weights of the Hub runs",
    "tokaudio encode in.wav out.npz -t ./hubert-folder": "shows a refusal, as tests/cli/test_convert_trust.py does",
    "tokaudio encode in.wav out.npz -t ./discrete-hubert --layers 7,12": "of what `convert --trust` makes, as there",
    "tokaudio corpus verify tokens/": "shows a damaged corpus, as tests/cli/test_corpus.py does",
    "tokaudio corpus verify tokens/ --repair": "the same",
}


def built_in(name: str) -> bool:
    return name in {entry.name for entry in builtin()}


VALUES: dict[str, Callable[[str], bool]] = {
    "tokenizer": lambda name: built_in(name) or "/" in name or find(name) is not None,
    "to": lambda name: name in FORMAT_NAMES,
    "layout": lambda name: name in LAYOUT_NAMES,
    "preset": lambda name: name in list_presets(),
    "task": lambda names: set(names.split(",")) <= set(TASKS),
}
"""Names that only the commands themselves judge."""


def called(command: Command) -> tuple[str, Any, list[str]]:
    """Return the name of a command, the command, and what follows."""
    group, words, name = get_command(app), list(command.arguments), []
    while words and words[0] in getattr(group, "commands", {}):
        name.append(words.pop(0))
        group = group.commands[name[-1]]
    return " ".join(name), group, words


def parse(command: Command) -> None:
    """Give a command to the program's own parser, which raises where it does not take it."""
    group = get_command(app)
    context = group.make_context("tokaudio", list(command.arguments))
    while hasattr(group, "resolve_command"):
        name, group, words = group.resolve_command(context, [*context._protected_args, *context.args])
        context = group.make_context(name, words, parent=context)
    for parameter, value in context.params.items():
        if parameter in VALUES and value is not None:
            assert VALUES[parameter](value), f"nothing is called {value!r}"


@pytest.mark.parametrize("page", PAGES)
def test_the_program_takes_the_commands_of_a_page(page: str) -> None:
    wrong = []
    for command in commands(page):
        try:
            parse(command)
        except Exception as error:
            wrong.append(f"{command.where}: {command.text}: {error}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", [name for name in map(name_of, pages()) if mentions(name)])
def test_what_a_page_mentions_exists(page: str) -> None:
    for command in mentions(page):
        _, group, words = called(command)
        known = {option for parameter in group.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert not hasattr(group, "commands") or not words or words[0] in known, f"{command.where}: {command.text}"
        for word in words:
            assert not word.startswith("-") or word in known, f"{command.where}: there is no {word} in {command.text}"


def quick(page: str) -> list[Command]:
    """Return those commands of a page that run."""
    found = readable(page) or []
    return [one for one in found if one.bare and one.text not in NOT_RUN and called(one)[0] in QUICK]


# One page of those that say the same.
RUNNING = {tuple(one.text for one in quick(page)): page for page in PAGES if quick(page)}


@pytest.mark.parametrize("page", RUNNING.values())
def test_quick_commands_of_a_page_run(page: str, tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path / "scratch", hub, monkeypatch)
    stage.folder.mkdir()
    set_stage(page, stage)
    if page in AFTER_PYTHON:
        run_page(page, stage.names)
    if page == "docs/training.md":
        shutil.copytree(ROOT / "tokaudio/assets/mini-codec", "run/tokenizer")
    for command in quick(page):
        one_worker = ["--workers", "1"] if "--workers" in command.arguments else []
        assert run([*command.arguments, *one_worker]) == 0, f"{command.where}: {command.text}"


def test_what_is_not_run_stands_somewhere() -> None:
    assert set(NOT_RUN) <= {one.text for page in PAGES for one in readable(page) or []}
    assert all(quick(page) for page in AFTER_PYTHON)
