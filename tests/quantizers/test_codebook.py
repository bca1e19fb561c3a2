"""The mechanism of codebooks against hand-written twins: moving averages, k-means, revival, resuming."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tokaudio.quantizers.codebook import Codebook, kmeans


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def started(size: int = 8, dim: int = 3, **options: object) -> Codebook:
    book = Codebook(size, dim, **options)
    book.initialise(normal(200, dim))
    return book


def learn(book: Codebook, vectors: Tensor) -> int:
    return book.update(vectors, book.search(vectors))


class AverageTwin:
    """Moving averages as in the appendix of VQ-VAE, one code and one vector at a time, in float64."""

    def __init__(self, book: Codebook) -> None:
        self.table = book.table.double().numpy().copy()
        self.counts = [1.0] * book.size
        self.sums = self.table.copy()
        self.decay = book.decay

    def update(self, vectors: np.ndarray, index: list[int]) -> None:
        for code in range(len(self.table)):
            mine = [vector for vector, where in zip(vectors, index, strict=True) if where == code]
            self.counts[code] = self.decay * self.counts[code] + (1 - self.decay) * len(mine)
            self.sums[code] = self.decay * self.sums[code] + (1 - self.decay) * sum(
                mine, np.zeros_like(self.sums[code])
            )
            self.table[code] = self.sums[code] / self.counts[code]


def test_moving_averages_equal_their_twin():
    book = started(decay=0.9, revive_below=0.0)
    twin = AverageTwin(book)
    for step in range(20):
        vectors = normal(50, 3, seed=step)
        index = book.search(vectors)
        book.update(vectors, index)
        twin.update(vectors.double().numpy(), index.tolist())
    np.testing.assert_allclose(book.table.numpy(), twin.table, atol=1e-5)
    np.testing.assert_allclose(book.counts.numpy(), twin.counts, atol=1e-5)


def test_moving_averages_find_the_mean():
    book = started(size=1, decay=0.9)
    for step in range(60):
        learn(book, normal(100, 3, seed=step) + torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(book.table[0], torch.tensor([1.0, 2.0, 3.0]), atol=0.1, rtol=0)


def lloyd(vectors: np.ndarray, start: np.ndarray, iterations: int) -> np.ndarray:
    """Lloyd's algorithm without empty clusters, in loops."""
    centroids = start.copy()
    for _ in range(iterations):
        clusters: list[list[np.ndarray]] = [[] for _ in centroids]
        for vector in vectors:
            clusters[int(np.argmin(((centroids - vector) ** 2).sum(1)))].append(vector)
        centroids = np.stack([np.mean(cluster, axis=0) for cluster in clusters])
    return centroids


def test_kmeans_equals_its_twin():
    vectors = normal(120, 2)
    first = torch.randperm(120, generator=torch.Generator().manual_seed(5))[:6]
    wanted = lloyd(vectors.double().numpy(), vectors[first].double().numpy(), 7)
    found = kmeans(vectors, 6, iterations=7, generator=torch.Generator().manual_seed(5))
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)


def test_kmeans_restarts_empty_clusters():
    # Nearly all vectors are equal: a start among them leaves clusters empty, which then move to other vectors.
    vectors = torch.cat([torch.zeros(90, 2), normal(10, 2) * 5 + 20])
    found = kmeans(vectors, 4, iterations=30, generator=torch.Generator().manual_seed(0))
    assert len(found.unique(dim=0)) > 1
    assert bool(torch.isfinite(found).all())


def test_of_equal_vectors_kmeans_draws_one():
    # Nine of ten vectors are zero, as what a level leaves of vectors that are its codewords.
    vectors = torch.zeros(400, 3)
    vectors[::10] = normal(40, 3) + 5
    found = kmeans(vectors, 20, iterations=1, generator=torch.Generator().manual_seed(0))
    assert len(found.unique(dim=0)) == 20
    more = kmeans(vectors, 60, iterations=1, generator=torch.Generator().manual_seed(0))
    assert len(more.unique(dim=0)) == 60, "41 different vectors, and copies that differ from them"


def test_kmeans_with_fewer_vectors_than_codes_keeps_them_and_adds_jittered_copies():
    vectors = normal(5, 3) * 10
    found = kmeans(vectors, 9, iterations=3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found[:5], vectors)
    assert len(found.unique(dim=0)) == 9
    assert float(torch.cdist(found[5:], vectors).min(1).values.max()) < 10
    assert kmeans(vectors[:1], 4, iterations=3, generator=torch.Generator()).shape == (4, 3)


class NaiveBook(Codebook):
    """Revival as the EnCodec reference has it: into the table only, and before the averages rebuild the table."""

    def update(self, vectors: Tensor, index: Tensor) -> int:
        dead = (self.counts < self.revive_below).nonzero().squeeze(1)
        self.table[dead] = vectors[torch.randint(0, len(vectors), (len(dead),), generator=self._seeded())]
        self.counts.lerp_(torch.bincount(index, minlength=self.size).float(), 1 - self.decay)
        self.sums.lerp_(torch.zeros_like(self.sums).index_add_(0, index, vectors), 1 - self.decay)
        self.table.copy_(self.sums / self.counts[:, None])
        return len(dead)


def codes_in_use(family: type[Codebook], steps: int) -> tuple[int, float]:
    """Let 15 of 16 codes lie dead far from the data; return codes in use and the farthest code after some steps."""
    book = family(16, 4, revive_below=0.02)
    book.initialise(normal(64, 4))
    book.table[1:] += 100
    book.sums.copy_(book.table)
    book.counts[1:] = 0.019
    book.sums[1:] *= 0.019
    for step in range(steps):
        learn(book, normal(256, 4, seed=step))
    vectors = normal(256, 4, seed=999)
    farthest = torch.cdist(book.table, vectors).min(1).values.max()
    return len(book.search(vectors).unique()), float(farthest)


@pytest.mark.parametrize("steps", [1, 2, 5, 50])
def test_revived_codes_are_among_the_data_and_stay_there(steps: int):
    used, farthest = codes_in_use(Codebook, steps)
    assert used >= 14
    assert farthest < 5


@pytest.mark.parametrize("steps", [1, 5])
def test_the_naive_revival_is_undone_by_stale_averages(steps: int):
    used, farthest = codes_in_use(NaiveBook, steps)
    assert used == 1
    assert farthest > 50


def test_revival_also_resets_the_averages():
    book = started()
    book.counts[3] = 0.001
    book.table[3] = 100
    assert learn(book, normal(40, 3, seed=7)) == 1
    torch.testing.assert_close(book.sums[3] / book.counts[3], book.table[3])
    assert float(book.counts[3]) > book.revive_below
    assert bool((book.table[3] == normal(40, 3, seed=7)).all(1).any())


def test_codes_that_are_rarely_used_survive_if_the_average_says_so():
    book = started()
    before = book.table.clone()
    vectors = before[:1].repeat(10, 1)
    assert book.update(vectors, torch.zeros(10, dtype=torch.int64)) == 0
    torch.testing.assert_close(book.table[1:], before[1:])


def test_under_gradient_learning_the_table_only_moves_by_revival():
    book = started(learning="gradient")
    assert isinstance(book.table, torch.nn.Parameter)
    before = book.table.detach().clone()
    book.counts[2] = 0.0
    vectors = before[[0, 1, 3, 4, 5, 6, 7]]
    assert book.update(vectors, torch.tensor([0, 1, 3, 4, 5, 6, 7])) == 1
    moved = (book.table.detach() != before).any(1).nonzero().squeeze(1).tolist()
    assert moved == [2]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, 3e38])
def test_a_batch_with_an_unusable_vector_teaches_nothing(bad: float):
    book = started()
    before = {name: value.clone() for name, value in book.named_buffers()}
    vectors = normal(20, 3, seed=3)
    vectors[4, 1] = bad
    assert learn(book, vectors) == 0
    assert all(torch.equal(value, before[name]) for name, value in book.named_buffers())
    assert book.update(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)) == 0


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, 3e38])
def test_initialising_leaves_out_unusable_vectors(bad: float):
    vectors = normal(100, 3)
    vectors[::7, 0] = bad
    book, clean = Codebook(8, 3), Codebook(8, 3)
    book.initialise(vectors)
    clean.initialise(vectors[vectors[:, 0].abs() < 1e3])
    assert torch.equal(book.table, clean.table)
    waiting = Codebook(8, 3)
    waiting.initialise(torch.full((10, 3), bad))
    assert not bool(waiting.ready) and bool(torch.isfinite(waiting.table).all())


def test_cosine_compares_directions_only():
    book = started(metric="cosine")
    vectors = normal(50, 3, seed=2)
    index = book.search(vectors)
    assert torch.equal(book.search(vectors * 1000), index)
    similarity = F.normalize(vectors, dim=-1).double() @ F.normalize(book.table, dim=-1).double().T
    assert torch.equal(index, similarity.argmax(1))
    torch.testing.assert_close(book.lookup(index).norm(dim=-1), torch.ones(50))
    assert torch.equal(book.lookup(torch.arange(8)), book.searchable())


def test_search_is_the_same_under_autocast():
    book = Codebook(256, 16)
    vectors = normal(500, 16)
    wanted = book.search(vectors)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(book.search(vectors), wanted)
    assert book.search(vectors.bfloat16()).shape == (500,)


def test_a_loaded_codebook_goes_on_from_its_table():
    book = started()
    fresh = Codebook(8, 3, seed=9)
    fresh.load_state_dict(book.state_dict())
    assert bool(fresh.ready)
    for step in range(3):
        learn(fresh, normal(60, 3, seed=step))
    assert float((fresh.table - book.table).abs().max()) < 0.3, "averages of the untrained table would pull it away"
    assert list(book.state_dict()) == ["table"]


@pytest.mark.parametrize("options", [{}, {"metric": "cosine"}, {"revive_below": 0.4}])
def test_resuming_equals_going_on(options: dict[str, object]):
    def train(book: Codebook, steps: range) -> Codebook:
        for step in steps:
            learn(book, normal(30, 3, seed=step))
        return book

    whole = train(started(**options), range(20))
    half = train(started(**options), range(10))
    resumed = Codebook(8, 3, **options)
    resumed.load_state_dict(half.state_dict())
    resumed.load_learning_state(half.learning_state())
    train(resumed, range(10, 20))
    for name, value in whole.named_buffers():
        assert torch.equal(value, dict(resumed.named_buffers())[name]), name
    assert whole.revivals == resumed.revivals


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("learning", ["ema", "gradient"])
def test_a_changed_table_is_searched_as_it_is(metric: str, learning: str):
    """What a search keeps of the table holds until the table changes, in whatever way."""
    book = started(metric=metric, learning=learning)
    points = normal(40, 3, seed=3)

    def fresh() -> Tensor:
        twin = Codebook(8, 3, metric=metric)
        twin.table.copy_(book.table.detach())
        return twin.search(points)

    changes = {
        "in place": lambda: book.table.detach().mul_(-1.0),
        "loaded": lambda: book.load_state_dict({"table": normal(8, 3, seed=4)}),
        "assigned": lambda: book.load_state_dict({"table": normal(8, 3, seed=5)}, assign=True),
        "rounded": lambda: book.bfloat16().float(),
        "swapped": lambda: setattr(book.table, "data", normal(8, 3, seed=6)),
        "learned": lambda: learn(book, normal(50, 3, seed=7)),
    }
    for name, change in changes.items():
        before = book.search(points)
        change()
        assert torch.equal(book.search(points), fresh()), name
        assert name in {"rounded", "learned"} or not torch.equal(before, fresh()), f"{name} must matter"
        assert torch.equal(copy.deepcopy(book).search(points), fresh())
    with torch.inference_mode():
        unseen = Codebook(8, 3, metric=metric)
        unseen.table.copy_(book.table)
        for _ in range(2):
            assert torch.equal(unseen.search(points), fresh())
            book.table.data.neg_()
            unseen.table.neg_()
