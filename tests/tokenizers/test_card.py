"""Model cards say what the spec says."""

import dataclasses

import pytest

from tokaudio.catalogue import find
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers import card
from tokaudio.tokenizers.card import model_card

SPEC = TokenizerSpec(
    "tiny", "hybrid", 16_000, 320, (CodebookSpec(16),) * 2, licence="apache-2.0", paper="arXiv:0000.00000", causal=True
)


def test_the_front_matter_is_what_the_hub_reads():
    lines = model_card(SPEC, "0123456789abcdef").splitlines()
    end = lines.index("---", 1)
    assert lines[0] == "---"
    assert lines[1:end] == [
        "library_name: tokaudio",
        "license: apache-2.0",
        "tags:",
        "- audio",
        "- audio-tokenizer",
        "- hybrid",
        "- arxiv:0000.00000",
    ]
    assert lines[end + 2] == "# tiny"


def test_the_table_holds_every_fact():
    text = model_card(SPEC, "0123456789abcdef")
    for row in (
        "| kind | hybrid |",
        "| frame rate | 50 Hz (hop of 320 samples) |",
        "| codebooks | 2 x 16 |",
        "| token rate | 100 per second |",
        "| bitrate | 0.4 kbps |",
        "| causal | yes |",
        "| licence | apache-2.0 |",
        "| paper | arXiv:0000.00000 |",
        "| weights | 0123456789abcdef |",
    ):
        assert row in text
    assert 'from_pretrained("tiny")' in text


def test_unlike_codebooks_and_missing_facts_are_said():
    books = (CodebookSpec(16), CodebookSpec(1024))
    spec = dataclasses.replace(SPEC, codebooks=books, licence="", paper="", causal=False)
    text = model_card(spec, "")
    for row in ("| codebooks | 16 + 1024 |", "| licence | not stated |", "| paper | none |", "| causal | no |"):
        assert row in text
    assert "license:" not in text


def test_more_sections_follow():
    assert model_card(SPEC, "", "\n## Data\n\nFour hours.\n").endswith("## Data\n\nFour hours.\n")


@pytest.mark.parametrize(
    ("licence", "line"),
    [
        ("cc-by-nc-4.0", "license: cc-by-nc-4.0"),
        ("cc-by-4.0 (unverified)", "license: other"),
        ("not stated (code: mit)", None),
        ("", None),
    ],
)
def test_the_front_matter_claims_no_licence_that_is_not_stated(licence: str, line: str | None):
    lines = model_card(dataclasses.replace(SPEC, licence=licence), "").splitlines()
    assert [text for text in lines if text.startswith("license:")] == ([] if line is None else [line])
    assert f"| licence | {licence or 'not stated'} |" in lines


def test_published_tokenizers_say_how_far_they_were_compared(monkeypatch: pytest.MonkeyPatch):
    assert "verification" not in model_card(SPEC, "")
    entry = find("mimi")
    assert entry is not None
    for status, words in {"verified": "codes compared with", "unverified": "never compared"}.items():
        monkeypatch.setattr(card, "find", lambda _, status=status: dataclasses.replace(entry, status=status))
        assert f"| verification | {words}" in model_card(entry.spec, "")


def test_the_example_loads_it_from_where_it_lies():
    assert 'from_pretrained("me/tiny")' in model_card(SPEC, "", name="me/tiny")


def test_what_only_encodes_is_not_shown_decoding():
    assert ".decode(" in model_card(SPEC, "") and ".decode(" not in model_card(SPEC, "", decodes=False)
