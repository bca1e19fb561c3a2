"""Weights of the loss: mean 1 over codebooks, right for every id, and what a report suggests."""

import pytest
import torch
import torch.nn.functional as F

from tests.layouts.shapes import SNAC, spec_of
from tests.near import assert_near
from tokaudio.errors import TokensError
from tokaudio.layouts import Vocabulary, id_weights, loss_weights, report_weights, role_weights


def test_roles_of_the_spec():
    weights = role_weights(spec_of((1, 1, 1, 1)), semantic=100.0)
    assert_near(torch.tensor(weights), torch.tensor([400.0, 4.0, 4.0, 4.0]) / 103)
    assert role_weights(spec_of((1, 1), semantic=0)) == (1.0, 1.0)


def test_what_a_report_suggests():
    roles = [
        {"attribute": "phone", "score": 0.5},
        {"attribute": "phone", "score": 0.001},
        {"attribute": "energy", "score": 0.9},
        {"attribute": None, "score": None},
    ]
    weights = report_weights(roles, content=20.0, other=1.0, nothing=0.5)
    assert_near(torch.tensor(weights), torch.tensor([10.0, 1.0, 1.0, 0.5]) * 4 / 12.5)


def test_each_id_has_the_weight_of_its_codebook():
    vocabulary = Vocabulary.for_spec(SNAC, text_size=5, per_phase=True, durations=2)
    table = id_weights(vocabulary, [3.0, 2.0, 0.5], others=7.0)
    books, _, _ = vocabulary.lookup(torch.arange(vocabulary.size).numpy())
    assert table.tolist() == [{-1: 7.0, 0: 3.0, 1: 2.0, 2: 0.5}[book] for book in books.tolist()]


def test_weights_of_labels_do_what_cross_entropy_does_with_the_table():
    vocabulary = Vocabulary.for_spec(spec_of((1, 1)))
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(vocabulary.size, (3, 7), generator=generator)
    labels[0, 4:] = -100
    logits = torch.randn(3, 7, vocabulary.size, generator=generator)
    weights = loss_weights(labels, vocabulary, [1.5, 0.5])
    each = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    wanted = F.cross_entropy(logits.transpose(1, 2), labels, weight=id_weights(vocabulary, [1.5, 0.5]))
    assert_near((each * weights).sum() / weights.sum(), wanted)
    assert weights[0, 4:].tolist() == [0.0] * 3


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: role_weights(spec_of((1,)), semantic=-1.0), "give finite ones from 0 on"),
        (lambda: role_weights(spec_of((1,)), semantic=0.0), "not all 0"),
        (lambda: report_weights([]), "not all 0"),
        (lambda: report_weights([{"attribute": "phone"}]), "roles without a field 'score'"),
        (lambda: id_weights(Vocabulary.for_spec(SNAC), [1.0]), "1 weights for 3 codebooks"),
        (
            lambda: loss_weights(torch.tensor([99]), Vocabulary.for_spec(spec_of((1,))), [1.0]),
            "id 99 of the vocabulary",
        ),
    ],
)
def test_wrong_input_is_refused(build, message):
    with pytest.raises(TokensError, match=message):
        build()
