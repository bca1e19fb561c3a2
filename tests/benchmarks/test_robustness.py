"""The table of robustness."""

from __future__ import annotations

import dataclasses

from robustness import report

from tests.analysis.tones import RATE, ToneTokenizer, random_melody
from tokaudio.analysis.robustness.robustness import robustness
from tokaudio.analysis.robustness.transforms import Gain


def test_every_change_has_a_row_with_all_codebooks_and_what_is_missing_says_why() -> None:
    found = robustness(ToneTokenizer(), [(random_melody(0), RATE)], transforms=[Gain(0.0), Gain(-6.0206)])
    found = dataclasses.replace(found, not_measured={"MP3 64 kbit/s": "libsndfile writes no MP3"})
    rows = [line for line in report({"tones": found}, 1).splitlines() if line.startswith("| ")]
    assert rows[1].startswith("| gain +0 dB | 0.00 0.00 | 1.00 1.00 | 0.")
    assert rows[2].startswith("| gain -6.0206 dB | ") and rows[2].split(" | ")[2] == "0.00 1.00"
    assert rows[3] == "| MP3 64 kbit/s | not measured: libsndfile writes no MP3 | | |"
