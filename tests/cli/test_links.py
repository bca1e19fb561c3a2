"""Links in a folder of outputs: nothing is written outside of it."""

from __future__ import annotations

from pathlib import Path

from tests.cli.support import Cli, names
from tests.corpus.support import tree


def test_a_link_in_the_output_folder_leads_nowhere(cli: Cli, place: Path) -> None:
    for path in ("in/x/a.wav", "in/b.wav", "in/c.wav"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(Path("in.wav").read_bytes())
    for folder in ("out", "elsewhere"):
        Path(folder).mkdir()
    Path("elsewhere/c.npz").write_bytes(b"kept")
    Path("out/x").symlink_to("../elsewhere")
    Path("out/c.npz").symlink_to("../elsewhere/c.npz")
    done = cli("encode", "in", "-o", "out", "-f")
    assert done.code == 1
    assert sorted(line.partition("; ")[0] for line in done.failures) == [
        "tokaudio: out/c.npz: a link leads out of out",
        "tokaudio: out/x/a.npz: a link leads out of out",
    ]
    assert names(Path("elsewhere")) == ["c.npz"] and Path("elsewhere/c.npz").read_bytes() == b"kept"
    # The output folder itself may be a link, and links within it may stay there.
    Path("linked").symlink_to("out")
    Path("out/x").unlink()
    Path("out/y").mkdir()
    Path("out/x").symlink_to("y")
    Path("out/c.npz").unlink()
    assert cli("encode", "in", "-o", "linked", "-f").code == 0
    assert names(Path("out/y")) == ["a.npz"] and tree(Path("elsewhere")) == {"c.npz": b"kept"}
