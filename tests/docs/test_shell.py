"""How command lines are found in pages."""

from pathlib import Path

import pytest

from tests.docs.shell import commands, mentions


def page(folder: Path, text: str) -> str:
    path = folder / "page.md"
    path.write_text(text)
    return str(path)


def test_commands_have_their_lines_and_arguments(tmp_path: Path) -> None:
    name = page(
        tmp_path,
        """```bash
# tokaudio is installed
pip install . && tokaudio encode in.wav \\
    'an out.npz'  # a comment
srun -n 2 tokaudio list --json | head > out.txt
```
```console
$ tokaudio info x
tokaudio: x: is said by it
```
```
tokaudio doctor
```
```text
tokaudio doctor
```
""",
    )
    assert [(one.where, one.arguments, one.bare) for one in commands(name)] == [
        (f"{name}:3", ("encode", "in.wav", "an out.npz"), True),
        (f"{name}:5", ("list", "--json"), False),
        (f"{name}:8", ("info", "x"), True),
        (f"{name}:12", ("doctor",), True),
    ]


@pytest.mark.parametrize("line", ["for x in *; do tokaudio info $x; done", "tokaudio info $(ls)"])
def test_more_of_the_shell_is_refused_with_its_place(line: str, tmp_path: Path) -> None:
    name = page(tmp_path, f"# Title\n\n```\n{line}\n```\n")
    with pytest.raises(ValueError, match=r"page\.md:4: .*say it plainly"):
        commands(name)


def test_commands_in_passing_are_found_outside_of_blocks(tmp_path: Path) -> None:
    name = page(tmp_path, "```\n`tokaudio no`\n```\nSee `tokaudio data quick`, and ``tokaudio no``.\n")
    assert [(one.where, one.arguments) for one in mentions(name)] == [(f"{name}:4", ("data", "quick"))]
