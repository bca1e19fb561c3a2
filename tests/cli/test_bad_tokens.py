"""Token files that cannot be used: refused by `decode` and `info`, by name, and nothing written."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.support import Cli, names
from tokaudio import Tokens


def repacked(source: Path, target: Path, change: Callable[[str, bytes], bytes]) -> None:
    """Write a token file again with its members changed."""
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
        for name in before.namelist():
            after.writestr(name, change(name, before.read(name)))


def forged_shape(source: Path, target: Path) -> None:
    """Claim 10^11 frames."""

    def change(name: str, content: bytes) -> bytes:
        return content.replace(b"(8, 26), }           ", b"(8, 100000000000), } ") if name == "codes.npy" else content

    repacked(source, target, change)
    assert b"(8, 100000000000)" in target.read_bytes()


def pickled(source: Path, target: Path) -> None:
    """Put a pickle in the place of the codes."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([print], dtype=object), allow_pickle=True)
    repacked(source, target, lambda name, content: buffer.getvalue() if name == "codes.npy" else content)


def cut(source: Path, target: Path) -> None:
    """Keep the first half."""
    target.write_bytes(source.read_bytes()[: source.stat().st_size // 2])


BAD: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "forged shape": (forged_shape, "'codes.npy' has a shape that does not match"),
    "pickle": (pickled, "pickle"),
    "cut": (cut, "damaged"),
    "empty": (lambda source, target: target.write_bytes(b""), "empty"),
    "text": (lambda source, target: target.write_text("codes\n" * 99), "no token file"),
    "other npz": (lambda source, target: np.savez(target, codes=np.zeros((8, 5))), "no token file"),
    "fifo": (lambda source, target: os.mkfifo(target), "not a regular file"),
    "dangling": (lambda source, target: target.symlink_to("nowhere"), "link to nothing"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_token_file_is_refused(cli: Cli, place: Path, kind: str) -> None:
    make, problem = BAD[kind]
    make(place / "in.npz", place / "bad.npz")
    before = names(place)
    for arguments in (["decode", "bad.npz", "out.wav"], ["info", "bad.npz"]):
        done = cli(*arguments)
        (line,) = done.failures
        assert (done.code, done.out) == (2, "")
        assert line.startswith("tokaudio: bad.npz: ")
        assert problem in line
        assert "; " in line
        assert names(place) == before


def test_token_files_of_other_packages_are_named(cli: Cli, place: Path) -> None:
    with Path("in.dac").open("wb") as file:
        np.save(file, np.array({"codes": np.zeros((1, 9, 5), np.uint16)}), allow_pickle=True)
    Path("in.ecdc").write_bytes(b"ECDC\x00\x00\x00\x00\x02{}")
    for source, package in (("in.dac", "descript-audio-codec"), ("in.ecdc", "encodec")):
        for arguments in (["decode", source, "out.wav"], ["encode", source, "out.npz"], ["info", source]):
            done = cli(*arguments)
            (line,) = done.failures
            assert (done.code, done.out) == (2, "")
            assert line.startswith(f"tokaudio: {source}: ")
            assert f" a token file of {package}, which only that package reads; decode it " in line


def test_every_flipped_bit_is_noticed(cli: Cli, place: Path) -> None:
    whole = Path("in.npz").read_bytes()
    sound = cli("decode", "in.npz", "good.wav")
    assert sound.code == 0
    good = Path("good.wav").read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for bit in random.choice(8 * len(whole), 40, replace=False).tolist():
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        Path("bad.npz").write_bytes(damaged)
        done = cli("decode", "-f", "bad.npz", "out.wav")
        if done.code == 0:
            # Bits of the container that carry nothing, such as a time stamp.
            assert Path("out.wav").read_bytes() == good
            Path("out.wav").unlink()
        else:
            refused += 1
            assert done.code == 2
            assert done.failures[0].startswith("tokaudio: bad.npz: ")
            assert not Path("out.wav").exists()
    assert refused >= 30


def test_tokens_of_another_tokenizer_are_refused_by_name(cli: Cli, place: Path) -> None:
    import dataclasses

    tokens = Tokens.load("in.npz")
    dataclasses.replace(tokens, spec=dataclasses.replace(tokens.spec, name="other-codec")).save("other.npz")
    dataclasses.replace(tokens, fingerprint="0123456789abcdef").save("weights.npz")
    tokens.select_codebooks([1, 2]).save("gap.npz")
    before = names(place)
    for arguments, words in (
        (["other.npz"], ("other-codec", "-t")),
        (["other.npz", "-t", "mini-codec"], ("other-codec", "mini-codec", "(-t)")),
        (["weights.npz"], ("0123456789ab", "weights")),
        (["gap.npz"], ("codebooks 1, 2",)),
    ):
        done = cli("decode", arguments[0], "out.wav", *arguments[1:])
        (line,) = done.failures
        assert done.code == 2
        assert line.startswith(f"tokaudio: {arguments[0]}: ")
        assert all(word in line for word in words), line
        assert names(place) == before


def test_a_folder_named_like_the_tokenizer_is_not_loaded(cli: Cli, place: Path) -> None:
    import dataclasses

    tokens = Tokens.load("in.npz")
    Path("evil").mkdir()
    for index, name in enumerate(("evil", "../evil", "./evil")):
        dataclasses.replace(tokens, spec=dataclasses.replace(tokens.spec, name=name)).save(f"{index}.npz")
        done = cli("decode", f"{index}.npz", "out.wav")
        assert done.code == 2
        assert "does not ship with tokaudio" in done.failures[0]


def test_bad_token_files_in_a_folder(cli: Cli, place: Path) -> None:
    Path("src").mkdir()
    for kind, (make, _) in BAD.items():
        make(place / "in.npz", Path("src", f"{kind}.npz"))
    Path("src/good.npz").write_bytes(Path("in.npz").read_bytes())
    done = cli("decode", "src", "-o", "out")
    assert (done.code, len(done.failures)) == (1, len(BAD))
    assert names(Path("out")) == ["good.wav"]
