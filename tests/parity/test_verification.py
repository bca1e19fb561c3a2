"""Equal error rate and detection cost beside SpeechBrain's, and a curve at the thresholds that it visits."""

from __future__ import annotations

import pytest
import torch
from speechbrain.utils.metric_stats import EER, minDCF

from tokaudio.metrics.verification import eer, min_dcf


def scores(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(300, generator=random) + 1, torch.randn(400, generator=random)


@pytest.mark.parametrize("seed", range(5))
def test_equal_error_rate(seed: int) -> None:
    matching, other = scores(seed)
    theirs, _ = EER(matching, other)
    # Theirs is the mean of both rates at the threshold where they are nearest: less than one pair away.
    assert eer(matching.numpy(), other.numpy()) == pytest.approx(float(theirs), abs=1 / 300)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("prior", [0.01, 0.05, 0.5])
def test_detection_cost(seed: int, prior: float) -> None:
    matching, other = scores(seed)
    theirs, _ = minDCF(matching, other, c_miss=1.0, c_fa=1.0, p_target=prior)
    # Theirs is not divided by the cost of deciding without scores, and does not visit the threshold above all scores.
    ours = min_dcf(matching.numpy(), other.numpy(), prior=prior) * min(prior, 1 - prior)
    assert ours == pytest.approx(min(float(theirs), prior), abs=1e-6)
