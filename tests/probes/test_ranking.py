"""Mean ranks against scipy's, DASB's published table, and rankings whose order is planted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, rankdata

from tests.probes.resulting import results, task
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.published import PARTS, dasb_v1
from tokaudio.probes.ranking import Column, kendall, mean_ranks, rank, ranks
from tokaudio.probes.results import ProbeResults

VALUES = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=8)


@given(VALUES, st.booleans(), st.sampled_from(["average", "min", "max"]))
def test_ranks_are_those_of_scipy(values: list[float], higher: bool, ties: str) -> None:
    array = np.array(values)
    wanted = rankdata(-array if higher else array, ties)
    assert ranks(array, higher, ties=ties).tolist() == wanted.tolist()  # type: ignore[arg-type]
    assert ranks(np.stack([array, -array]), higher)[1].tolist() == ranks(array, not higher).tolist()


@given(st.integers(2, 8).flatmap(lambda n: st.tuples(*[st.lists(st.integers(0, 4), min_size=n, max_size=n)] * 2)))
def test_agreement_is_that_of_scipy(pair: tuple[list[int], list[int]]) -> None:
    first, second = (dict(zip("abcdefgh", map(float, side), strict=False)) for side in pair)
    found, wanted = kendall(first, second), kendalltau(*pair).statistic
    assert (found is None) == bool(np.isnan(wanted))
    assert found is None or found == pytest.approx(wanted)


def test_ranks_are_means_over_columns_of_the_same_tokenizers() -> None:
    columns = [Column("a", "content", True, {"x": 1, "y": 1}), Column("b", "content", False, {"y": 1, "x": 2})]
    assert mean_ranks(columns) == {"x": 1.75, "y": 1.25} and mean_ranks(columns, ties="max") == {"x": 2, "y": 1.5}
    with pytest.raises(ProbeError, match="not of the same tokenizers"):
        mean_ranks([columns[0], Column("c", "content", True, {"x": 1})])
    with pytest.raises(ProbeError):
        mean_ranks([])


# DASB's own table: recomputed discriminative, generative and combined ranks, where ties get the better or worse rank.
DASB = {
    "Discrete WavLM": [(2.00, 2.00), (1.88, 2.00), (1.94, 2.00)],
    "Discrete HuBERT": [(2.67, 2.67), (3.50, 3.63), (3.06, 3.12)],
    "SpeechTokenizer": [(3.44, 3.44), (3.88, 4.13), (3.65, 3.76)],
    "Discrete Wav2Vec2": [(3.33, 3.33), (3.50, 3.50), (3.41, 3.41)],
    "EnCodec": [(4.11, 4.11), (4.25, 4.38), (4.18, 4.24)],
    "DAC": [(5.44, 5.44), (3.63, 3.75), (4.59, 4.65)],
}


@pytest.mark.parametrize("name", sorted(DASB))
def test_the_published_table_is_ranked_again(name: str) -> None:
    published = dasb_v1()
    for part, (low, high) in zip(PARTS, DASB[name], strict=True):
        columns = published.columns("medium", part)
        assert len(columns) == {"discriminative": 9, "generative": 8, "combined": 17}[part]
        assert mean_ranks(columns, ties="min")[name] == pytest.approx(low, abs=0.0051)
        assert mean_ranks(columns, ties="max")[name] == pytest.approx(high, abs=0.0051)


def test_where_the_published_ranking_contradicts_its_table() -> None:
    found = {(one.tokenizer, one.part) for one in dasb_v1().contradictions()}
    assert found == {
        ("DAC", "discriminative"),
        *((name, "generative") for name in DASB if name != "Discrete HuBERT"),
    }
    assert set(dasb_v1().impossible()) == {"Discrete WavLM", "Discrete Wav2Vec2", "EnCodec"}
    wavlm = next(one for one in dasb_v1().contradictions() if one.tokenizer == "Discrete WavLM")
    assert (wavlm.published, wavlm.low, wavlm.high) == (2.75, 1.875, 2.0)


def test_the_published_axes_are_at_odds() -> None:
    columns = dasb_v1().columns()
    content, speaker = (mean_ranks([one for one in columns if one.axis == axis]) for axis in ("content", "speaker"))
    tau = kendall(content, speaker)
    assert tau is not None and tau < 0 and len([one for one in columns if one.axis == "content"]) == 6
    with pytest.raises(ProbeError, match="give low or medium"):
        dasb_v1().columns("high")


def suite(name: str, content: float, speaker: float, *, probe: str = "linear", seed: int = 0) -> ProbeResults:
    """Return two content tasks, one of which is an error rate, and a speaker task."""
    tasks = (
        task("ks", content, seed=seed),
        task("asr", 1 - content, metric="wer", seed=seed + 10),
        task("si", speaker, axis="speaker", seed=seed + 20),
    )
    return results(name, tuple(dataclasses.replace(one, probe=probe) for one in tasks))


def test_axes_are_ranked_apart_and_their_disagreement_is_said() -> None:
    found = rank([suite("words", 0.9, 0.3), suite("voices", 0.5, 0.8), suite("both", 0.7, 0.55)])
    assert list(found.axes) == ["content", "speaker", "combined"]
    assert found.axes["content"].ranks == {"words": 1.0, "both": 2.0, "voices": 3.0}
    assert list(found.axes["speaker"].ranks) == ["voices", "both", "words"]
    assert found.axes["combined"].tasks == ("ks", "asr", "si")
    assert found.axes["combined"].ranks["words"] == pytest.approx(5 / 3)
    (one,) = found.of_axes
    assert one.tau == -1.0
    (said,) = found.sentences()
    assert said.startswith("The content and speaker tasks disagree (Kendall's tau -1.00): words is ahead on content")


def test_intervals_tell_near_tokenizers_from_far_ones() -> None:
    found = rank([suite("a", 0.70, 0.5), suite("b", 0.70, 0.5, seed=40), suite("c", 0.3, 0.1)])
    content = found.axes["content"]
    assert content.intervals["c"] == (3.0, 3.0)
    assert all(low <= content.ranks[name] <= high for name, (low, high) in content.intervals.items())
    assert content.intervals["a"][1] > content.intervals["a"][0]
    assert found == rank([suite("a", 0.70, 0.5), suite("b", 0.70, 0.5, seed=40), suite("c", 0.3, 0.1)])


def test_probes_that_order_differently_are_named() -> None:
    small = [suite("a", 0.9, 0.3), suite("b", 0.7, 0.6), suite("c", 0.5, 0.5)]
    large = [
        suite("a", 0.5, 0.3, probe="bilstm"),
        suite("b", 0.7, 0.6, probe="bilstm"),
        suite("c", 0.9, 0.5, probe="bilstm"),
    ]
    both = [dataclasses.replace(one, tasks=one.tasks + other.tasks) for one, other in zip(small, large, strict=True)]
    found = rank(both)
    (one,) = found.of_probes
    assert (one.first, one.second) == ("linear", "bilstm") and one.tau is not None and one.tau < 0.8
    assert any("depends on the probe: linear and bilstm" in said for said in found.sentences())


def test_tasks_that_not_all_have_are_left_out_by_name() -> None:
    one, other = suite("a", 0.9, 0.3), suite("b", 0.5, 0.8)
    less = dataclasses.replace(other, tasks=other.tasks[:1])
    found = rank([one, less])
    assert found.left_out == ("asr", "si") and list(found.axes) == ["content", "combined"]
    assert "asr, si" in found.sentences()[-1]
    changed = dataclasses.replace(other, tasks=(dataclasses.replace(other.tasks[0], probe_version="2"),))
    with pytest.raises(ProbeError, match="no task was probed in the same way"):
        rank([one, changed])
    with pytest.raises(ProbeError, match="two have the same name"):
        rank([one, one])
