"""Whatever strangers write, every parser of ours takes it or refuses it in one line. Long: `tests/nightly/fuzz.py`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzzing.damage import KINDS, damaged
from tests.fuzzing.parsers import PARSERS

DEEP = b"[" * 100_000
# What fuzzing found, and what no longer breaks a parser.
FOUND: list[tuple[str, bytes]] = [
    *((name, DEEP) for name in PARSERS if PARSERS[name].suffix in (".json", ".jsonl")),
    ("configuration", DEEP),
    ("header of a token file", DEEP),
    ("manifest in JSONL", b'{"path": "a.wav", "duration": ' + b"9" * 5_000 + b"}"),
    ("manifest in JSONL", b'{"path": "a.wav", "duration": ' + b"9" * 400 + b"}"),
    ("annotations", b'{"path": "a.wav", "phones": [[0, ' + b"9" * 400 + b', "a"]]}'),
    ("journal", b'{"shard": 0, "files": [], "failed": []}'),
    ("journal", b'{"shard": [], "files": [], "failed": [], "rows": 0, "frames": 0, "samples": 0}'),
    ("journal", b'{"again": {}}'),
    # A table of 2^31 entries, and a string of 2^40 bytes.
    ("weights of torch", b"\x80\x02}r\xff\xff\xff\x7f."),
    ("weights of torch", b"\x80\x04\x8e" + bytes(5) + b"\x01\0\0."),
    ("labels of xwaves and HTK", b"0 " + b"9" * 400 + b" a\n"),
]


@pytest.mark.parametrize("name", PARSERS)
def test_what_is_whole_is_taken(name: str, tmp_path: Path) -> None:
    assert PARSERS[name].judge(tmp_path / f"parsed{PARSERS[name].suffix}", PARSERS[name].seeds()[0])


@pytest.mark.parametrize("name", PARSERS)
def test_what_is_damaged_is_taken_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    parser, chance = PARSERS[name], random.Random(name)
    seeds, path = parser.seeds(), tmp_path / f"parsed{parser.suffix}"
    for number in range(90):
        content = damaged(chance.choice(seeds), chance.choice(seeds), KINDS[number % len(KINDS)], chance)
        parser.judge(path, content)


@pytest.mark.parametrize(("name", "content"), FOUND, ids=[f"{name} {len(content)}" for name, content in FOUND])
def test_what_once_broke_a_parser_breaks_it_no_more(name: str, content: bytes, tmp_path: Path) -> None:
    PARSERS[name].judge(tmp_path / f"parsed{PARSERS[name].suffix}", content)
