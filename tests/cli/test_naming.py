"""Names of outputs: distinct on every file system, whatever the inputs."""

from __future__ import annotations

import unicodedata
from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaudio.cli.naming import distinct_names


def folded(name: str) -> str:
    """Return what a file system that ignores case and composition takes a name for."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


PARTS = st.text("aAbé.", min_size=1, max_size=3).filter(lambda part: part.strip(".") != "")
NAMES = st.builds(
    lambda folders, stem, suffix, form: unicodedata.normalize(form, "/".join([*folders, stem + suffix])),
    st.lists(PARTS, max_size=2),
    PARTS,
    st.sampled_from([".wav", ".WAV", ".flac", ".npz", ".wav.npz", ".wav.flac"]),
    st.sampled_from(["NFC", "NFD"]),
)


@given(names=st.lists(NAMES, unique=True, max_size=12), suffix=st.sampled_from([".npz", ".wav"]))
def test_no_two_outputs_are_alike_or_within_each_other(names: list[str], suffix: str) -> None:
    targets = distinct_names(names, suffix, drop=[".wav", ".flac"])
    keys = [folded(target) for target in targets]
    assert len(set(keys)) == len(keys)
    folders = {str(parent) for key in keys for parent in PurePath(key).parents}
    assert not folders & set(keys)
    for name, target in zip(names, targets, strict=True):
        assert target.endswith(suffix)
        assert PurePath(target).parent == PurePath(name).parent


@given(names=st.lists(NAMES, unique=True, max_size=8), data=st.data())
def test_the_order_does_not_matter(names: list[str], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(names))
    one = dict(zip(names, distinct_names(names, ".npz"), strict=True))
    other = dict(zip(shuffled, distinct_names(shuffled, ".npz"), strict=True))
    assert one == other


@pytest.mark.parametrize(
    ("names", "targets"),
    [
        (["a.wav", "b.wav"], ["a.npz", "b.npz"]),
        (["a.wav", "a.flac", "b.wav"], ["a.wav.npz", "a.flac.npz", "b.npz"]),
        (["x/a.wav", "y/a.wav"], ["x/a.npz", "y/a.npz"]),
        (["a.wav", "A.flac"], ["a.wav.npz", "A.flac.npz"]),
        (["a.wav", "a.npz/b.wav"], ["a.wav.npz", "a.npz/b.npz"]),
        (["a.wav", "a.flac", "a.wav.mp3"], None),
        (["a.wav", "A.wav"], None),
        (["é.wav", "e\u0301.wav"], None),
        (["X/a.wav", "x/a.wav"], None),
    ],
)
def test_examples(names: list[str], targets: list[str] | None) -> None:
    found = distinct_names(names, ".npz")
    assert len({folded(target) for target in found}) == len(names)
    if targets is not None:
        assert found == targets


def test_hash_tells_the_same_names_of_two_folders_apart() -> None:
    found = distinct_names(["d/a.wav", "d/a.wav"], ".npz", identities=["x/d/a.wav", "y/d/a.wav"])
    assert len(set(found)) == 2
    assert found == distinct_names(["d/a.wav", "d/a.wav"], ".npz", identities=["x/d/a.wav", "y/d/a.wav"])
