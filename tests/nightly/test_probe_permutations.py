"""Labels permuted twenty times: no probe may find in codes what is not there. Reduced in tests/probes/tasks."""

import pytest

from tokaudio.probes.chance import chance_band
from tokaudio.probes.data.planted import PlantedSource
from tokaudio.probes.runs import Runner
from tokaudio.probes.tasks import TaskOptions, find_task


@pytest.mark.parametrize("head", ["linear", "xvector", "ecapa", "bilstm", "conformer"])
@pytest.mark.parametrize("name", ["ks", "sid"])
def test_every_permutation_is_within_the_band_of_chance(name: str, head: str) -> None:
    options = TaskOptions(seeds=(0,), reference_seeds=1, permutations=20, corpus="planted", head=head)
    source = PlantedSource(words=10, speakers=20, takes=2, clean=0.7)
    found = find_task(name).run(source, options, Runner())  # type: ignore[arg-type]
    low, high = chance_band(found.chance, found.sizes["test"])
    assert len(found.shuffled) == 20
    assert all(low <= score <= high for score in found.shuffled), (found.shuffled, low, high)
    assert found.measure.mean > high


def test_order_of_two_sources_is_the_same_from_disjoint_seeds() -> None:
    for start in range(0, 15, 3):
        options = TaskOptions(seeds=tuple(range(start, start + 3)), reference_seeds=1, permutations=0)
        better, worse = (
            find_task("ks").run(PlantedSource(clean=clean), options, Runner()).measure.mean  # type: ignore[arg-type]
            for clean in (0.8, 0.3)
        )
        assert better > worse
