"""How blocks are found: everything else about pages stands on it."""

from pathlib import Path

from tests.docs.markdown import Block, blocks, pages


def test_blocks_have_their_language_and_line(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```python\na = 1\n\nb = 2\n```\ntext\n```\nplain\n```\n")
    assert blocks(page) == [
        Block("python", "a = 1\n\nb = 2\n", 3),
        Block("", "plain\n", 9),
    ]


def test_there_are_pages_and_blocks():
    assert len(pages()) > 60
    assert sum(one.language == "python" for page in pages() for one in blocks(page)) > 60
