"""What probes read: batches of clips of any length, and the layers that take them."""

import numpy as np
import pytest
import torch

from tests.near import assert_near
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.models.classifying import ProbeConfig, Split, classify
from tokaudio.probes.models.fitting import FitBudget
from tokaudio.probes.models.inputs import CodeFront, CodeInputs, VectorFront, VectorInputs, front_of


def test_batches_are_padded_with_zeros_and_say_their_lengths() -> None:
    codes = CodeInputs("tokens", [np.array([[1, 2, 3], [4, 5, 6]]), np.array([[7], [8]])], (9, 9))
    batch, lengths = codes.batch([1, 0])
    assert batch.tolist() == [[[7, 0, 0], [8, 0, 0]], [[1, 2, 3], [4, 5, 6]]]
    assert lengths.tolist() == [1, 3]
    vectors = VectorInputs("x", [np.ones((2, 3), np.float16), np.full((2, 1), 5.0)])
    frames, lengths = vectors.batch([0, 1])
    assert frames.shape == (2, 3, 2) and frames.dtype == torch.float32
    assert frames[1].tolist() == [[5.0, 5.0], [0.0, 0.0], [0.0, 0.0]]


def test_a_clip_without_frames_counts_as_one_of_zeros() -> None:
    batch, lengths = CodeInputs("tokens", [np.zeros((2, 0), np.int32)], (4, 4)).batch([0])
    assert batch.tolist() == [[[0], [0]]] and lengths.tolist() == [1]


def test_vectors_are_brought_to_mean_and_deviation_of_what_is_trained_on() -> None:
    random = np.random.default_rng(0)
    items = [random.normal(3, 2, (4, length)) for length in (5, 9, 30)]
    front = front_of(VectorInputs("x", items), [0, 1], width=6)
    assert isinstance(front, VectorFront)
    joined = torch.from_numpy(np.concatenate(items[:2], axis=1)).float()
    assert_near(front.mean, joined.mean(dim=1), within=1e-4)
    assert_near(front.deviation, joined.std(dim=1, unbiased=False), within=1e-4)


def test_codes_start_from_tables_frozen_or_not() -> None:
    tables = [torch.eye(4)]
    inputs = CodeInputs("tokens", [np.zeros((1, 2), np.int32)], (4,), tables)
    for trainable in (True, False):
        front = front_of(inputs, [0], width=4, trainable=trainable)
        assert isinstance(front, CodeFront)
        assert front.features.vectors.weight.requires_grad is trainable


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(ProbeError, match="there is no clip to train on"):
        front_of(VectorInputs("x", []), [], width=4)


def test_probes_on_codes_and_on_vectors_learn_what_is_there_and_nothing_else() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    told = [np.stack([np.full(6, label), random.integers(0, 3, 6)]) for label in labels]
    split = Split(range(60), range(60, 75), range(75, 90))
    config = ProbeConfig("linear", budget=FitBudget(epochs=15, learning_rate=0.02))
    for inputs in (CodeInputs("tokens", told, (3, 3)), VectorInputs("x", [np.eye(3)[:, row[0]] for row in told])):
        found = classify(inputs, labels, split, config, seed=0)
        assert (found.predicted == labels[75:]).all()
        assert (found.predicted == classify(inputs, labels, split, config, seed=0).predicted).all()
    wrong = [random.integers(0, 3, (2, 6)) for _ in labels]
    assert (
        classify(CodeInputs("x", wrong, (3, 3)), labels, split, config, seed=0).predicted == labels[75:]
    ).mean() < 0.8
