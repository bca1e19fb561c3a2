"""Token language model: a likelihood that sums to one, sees no future, and counts bits for each second."""

import itertools

import numpy as np
import torch

from tests.near import assert_near
from tests.probes.tasks.test_tasks import ONE, run
from tokaudio.probes.data.planted import PlantedSource
from tokaudio.probes.models.fitting import seeded
from tokaudio.probes.tasks.language_model import TokenModel


def test_probabilities_of_all_sequences_sum_to_one() -> None:
    with seeded(0):
        model = TokenModel([2, 3], width=8).eval()
    every = torch.tensor(list(itertools.product(range(2), range(2), range(3), range(3)))).view(-1, 2, 2)
    with torch.no_grad():
        nats = model(every, torch.full((len(every),), 2)).sum(dim=(1, 2))
    assert_near((-nats).exp().sum(), torch.tensor(1.0), within=1e-4)


def test_a_code_changes_only_what_comes_after_it() -> None:
    with seeded(0):
        model = TokenModel([5, 5], width=8).eval()
        codes = torch.randint(0, 5, (1, 2, 6))
    other = codes.clone()
    other[0, 1, 3] = (other[0, 1, 3] + 1) % 5
    with torch.no_grad():
        mine, theirs = model(codes, torch.tensor([6])), model(other, torch.tensor([6]))
    assert_near(mine[..., :3], theirs[..., :3])
    assert_near(mine[:, 0, 3], theirs[:, 0, 3])
    assert bool((mine[..., 4:] != theirs[..., 4:]).all())


def test_frames_beyond_an_items_end_cost_nothing() -> None:
    with seeded(0):
        model = TokenModel([5], width=8).eval()
        codes = torch.randint(0, 5, (1, 1, 6))
    with torch.no_grad():
        whole, part = model(codes, torch.tensor([4])), model(codes[..., :4], torch.tensor([4]))
    assert_near(whole[..., :4], part)
    assert not whole[..., 4:].any()


def test_random_codes_cost_their_rate_and_planted_ones_less() -> None:
    source = PlantedSource(words=2, clean=0.9)
    found = run("lm", source, ONE)
    assert found.measure.metric == "bits_per_second"
    random = found.references["random_tokens"].mean
    assert 0.95 * source.spec.bitrate_bps < random < 1.3 * source.spec.bitrate_bps
    assert found.measure.mean < 0.8 * random
    assert np.isfinite(found.measure.values()).all()
