"""Model cards say what the spec says."""

import dataclasses

from tokaudio.spec import CodebookSpec, TokenizerSpec
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
    ]
    assert lines[end + 2] == "# tiny"


def test_the_table_holds_every_fact():
    card = model_card(SPEC, "0123456789abcdef")
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
        assert row in card
    assert 'from_pretrained("tiny")' in card


def test_unlike_codebooks_and_missing_facts_are_said():
    books = (CodebookSpec(16), CodebookSpec(1024))
    spec = dataclasses.replace(SPEC, codebooks=books, licence="", paper="", causal=False)
    card = model_card(spec, "")
    for row in ("| codebooks | 16 + 1024 |", "| licence | not stated |", "| paper | none |", "| causal | no |"):
        assert row in card
    assert "license:" not in card


def test_more_sections_follow():
    assert model_card(SPEC, "", "\n## Data\n\nFour hours.\n").endswith("## Data\n\nFour hours.\n")
