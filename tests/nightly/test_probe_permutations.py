"""Labels permuted twenty times: no probe may find in real tokens what is not there. Reduced in tests/probes/tasks."""

from pathlib import Path

import numpy as np
import pytest

from tokaudio import Tokenizer
from tokaudio.probes.chance import chance_band
from tokaudio.probes.data.caching import default_cache
from tokaudio.probes.data.extraction import Extraction
from tokaudio.probes.data.planted import PlantedSource
from tokaudio.probes.data.quick_data import read_data
from tokaudio.probes.evidence import Measure, Pairs
from tokaudio.probes.runs import Runner
from tokaudio.probes.suite import QUICK_TASKS, cores
from tokaudio.probes.tasks import TaskOptions, find_task
from tokaudio.probes.tasks.asr import _Session as Recognition
from tokaudio.probes.tasks.classification import Classification
from tokaudio.probes.tasks.classification import _Session as Classes
from tokaudio.probes.tasks.speaker_verification import _Session as Trials

pytestmark = pytest.mark.timeout(3600)
TWENTY = TaskOptions(seeds=(0,), reference_seeds=1, permutations=20)


@pytest.fixture(scope="module")
def source() -> Extraction:
    """The tokens of mini-codec, of all recordings that ship."""
    return Extraction(Tokenizer.from_pretrained("mini-codec"), read_data("quick"), cache=Path(default_cache()))


@pytest.mark.parametrize("name", [name for name in QUICK_TASKS if isinstance(find_task(name), Classification)])
def test_permuted_labels_of_real_tokens_are_at_chance(name: str, source: Extraction) -> None:
    task = find_task(name)
    session = Classes(task, source, TWENTY, Runner(jobs=cores()))  # type: ignore[arg-type]
    found = session.floors()
    guessing = chance_band(1 / len(session.classes), session.sizes()["test"])
    for score, (low, high) in zip(found.shuffled, found.bands, strict=True):
        print(f"{name}: {100 * score:.2f} in {100 * low:.2f} to {100 * high:.2f} %, guesses {guessing}")
    assert len(found.shuffled) == 20
    assert all(low <= score <= high for score, (low, high) in zip(found.shuffled, found.bands, strict=True))


def test_permuted_trials_of_real_tokens_are_at_chance(source: Extraction) -> None:
    # Vectors that learnt permuted speakers still tell voices apart: here it is the pairs that are permuted.
    session = Trials(find_task("sv"), source, TWENTY, Runner())  # type: ignore[arg-type]
    scores = session._scored(session.readings.codes(), session._labels(0), 0)
    true = session.measure("eer", {0: scores})
    pairs = true.evidence
    assert isinstance(pairs, Pairs)
    same, other = int(pairs.same.sum()), int((~pairs.same).sum())
    low, high = chance_band(0.5, round(4 / (1 / same + 1 / other)))
    found = []
    for number in range(20):
        order = np.random.default_rng(number).permutation(scores.size)
        found.append(Measure("eer", (0,), Pairs(pairs.groups, pairs.left, pairs.right, scores[None, order])).mean)
    print(f"sv: {[round(100 * score, 1) for score in found]} in {100 * low:.1f} to {100 * high:.1f} %")
    assert all(low <= score <= high for score in found), (found, low, high)
    told = f"trials that were not permuted have {100 * true.mean:.1f} %, which is no better than {100 * low:.1f} %: "
    assert true.mean < low, told + "this tokenizer's tokens tell no voices apart, so that the test above says little"


def test_permuted_transcripts_of_real_tokens_are_at_chance() -> None:
    # Chance: what is heard after learning permuted transcripts, beside the texts of the test set in any other order.
    # Of mini-semantic, whose words are understood. Trainings take half a minute each; those that are done are kept.
    kept, task = Path(default_cache()), find_task("asr")
    every = read_data("quick")
    meant = [every[number] for number in task.select(every)]
    source = Extraction(Tokenizer.from_pretrained("mini-semantic"), meant, cache=kept)
    session = Recognition(task, source, TWENTY, Runner(cache=kept, jobs=cores()))  # type: ignore[arg-type]
    floors = session.floors()
    assert len(floors) == 20
    outside = []
    for metric, unit in (("wer", "word"), ("cer", "character")):
        for number, heard in enumerate(floors):
            score = session.measure(metric, {0: heard}).mean
            low, high = session.band(heard, unit)  # type: ignore[arg-type]
            line = f"asr {number}, {metric}: {100 * score:.2f} in {100 * low:.2f} to {100 * high:.2f} %"
            print(line)
            outside += [] if low <= score <= high else [line]
    assert not outside


@pytest.mark.parametrize("head", ["linear", "xvector", "ecapa", "bilstm", "conformer"])
@pytest.mark.parametrize("name", ["ks", "sid"])
def test_every_permutation_is_within_the_band_of_chance(name: str, head: str) -> None:
    options = TaskOptions(seeds=(0,), reference_seeds=1, permutations=20, corpus="planted", head=head)
    source = PlantedSource(words=10, speakers=20, takes=2, clean=0.7)
    found = find_task(name).run(source, options, Runner(jobs=cores()))  # type: ignore[arg-type]
    assert len(found.shuffled) == 20
    assert all(score <= high for score, high in zip(found.shuffled, found.shuffled_limits, strict=True)), found
    assert found.measure.mean > max(found.shuffled_limits)


def test_order_of_two_sources_is_the_same_from_disjoint_seeds() -> None:
    for start in range(0, 15, 3):
        options = TaskOptions(seeds=tuple(range(start, start + 3)), reference_seeds=1, permutations=0)
        better, worse = (
            find_task("ks").run(PlantedSource(clean=clean), options, Runner()).measure.mean  # type: ignore[arg-type]
            for clean in (0.8, 0.3)
        )
        assert better > worse
