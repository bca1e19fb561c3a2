"""Everything that the parity tests of a family need, in one place.

A family's test is a few lines:

    @pytest.mark.parametrize("name", ["encodec-24k", "encodec-32k", "encodec-48k"])
    def test_encodec(name, tmp_path):
        peer = build(name)
        for layout in peer.facts.layouts:
            check_parity(peer, layout, tmp_path / layout)

Its reference is made in `builders/<family>.py`; see `builders/__init__.py` and `peer.py`.
"""

from tests.parity.builders import FAMILIES, build
from tests.parity.compare import CodeComparison, Distances, Level, ResidualLookup, compare_codes, join_gaps
from tests.parity.filling import (
    calibrate,
    effective_weight,
    fill_euclidean,
    fill_projected,
    fill_residual_euclidean,
    scatter,
    set_weight,
)
from tests.parity.harness import Case, cases, check_parity
from tests.parity.peer import Peer, PeerCodes, PeerFacts, reference_mode
from tests.parity.records import ParityRecord, load_records, record
from tests.parity.signals import lengths, recording, signals

__all__ = [
    "FAMILIES",
    "Case",
    "CodeComparison",
    "Distances",
    "Level",
    "ParityRecord",
    "Peer",
    "PeerCodes",
    "PeerFacts",
    "ResidualLookup",
    "build",
    "calibrate",
    "cases",
    "check_parity",
    "compare_codes",
    "effective_weight",
    "fill_euclidean",
    "fill_projected",
    "fill_residual_euclidean",
    "join_gaps",
    "lengths",
    "load_records",
    "record",
    "recording",
    "reference_mode",
    "scatter",
    "set_weight",
    "signals",
]
