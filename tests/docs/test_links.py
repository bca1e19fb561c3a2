"""Every link between pages, to a heading, or to a file of the project leads somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.links import Link, anchors, links, named_files, problem
from tests.docs.markdown import ROOT, name_of, pages

# Pages whose readers make the files that they name.
MAKING = ("docs/how-to/add-a-",)


@pytest.mark.parametrize("page", [name for name in map(name_of, pages()) if links(name)])
def test_links_of_a_page_lead_somewhere(page: str) -> None:
    wrong = [f"{link.where}: {link.target} {problem(link)}" for link in links(page) if problem(link)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", [name for name in map(name_of, pages()) if named_files(name)])
def test_files_that_a_page_names_are_there(page: str) -> None:
    if not page.startswith(MAKING):
        missing = [f"{link.where}: {link.target}" for link in named_files(page) if not (ROOT / link.target).exists()]
        assert not missing, "\n".join(missing)


def test_anchors_are_those_of_headings(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Who says `what`, and [when](x.md)?\n## Own {#mine}\n```\n# no heading\n```\n<a id='no' id=\"set\">"
    )
    assert anchors(page) == {"who-says-what-and-when", "mine", "set"}


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("docs/fuse.md", ""),
        ("docs/fuse.md#limits", ""),
        ("docs/nowhere.md", "is missing"),
        ("docs/notebooks/01_first_tokens.md", ""),
        ("docs/notebooks/none.md", "is missing"),
        ("docs/fuse.md#nothing", "has no heading for #nothing"),
        ("#nothing", "has no heading for #nothing"),
    ],
)
def test_what_is_wrong_with_a_link_is_told(target: str, wanted: str) -> None:
    assert problem(Link("README.md:3", target)) == wanted
