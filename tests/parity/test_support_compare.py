"""The comparison catches what is no tie, excuses what is one, and refuses codes that say nothing."""

from __future__ import annotations

import pytest
import torch

from tests.parity.compare import CodeComparison, Distances, Level, ResidualLookup, compare_codes, join_gaps

# One dimension, codewords at 0, 1, 2: at 0.5 the first two are equally near.
BOOK = torch.tensor([[0.0], [1.0], [2.0]])


def chain(values: list[float], levels: int = 2) -> ResidualLookup:
    return ResidualLookup(torch.tensor([values]), [Level(BOOK)] * levels)


def test_equal_codes_are_counted() -> None:
    codes = torch.tensor([[0, 1, 2], [2, 1, 0]])
    found = compare_codes(codes, codes.clone())
    assert (found.total, found.equal, found.tie_flips, found.non_tie_flips, found.frames) == (6, 6, 0, 0, 3)
    assert found.distinct == [3, 3]
    found.require()


def test_a_flip_at_a_tie_is_excused_with_the_deeper_levels_of_its_frame_only() -> None:
    theirs = torch.tensor([[0, 0], [0, 0]])
    ours = torch.tensor([[1, 0], [2, 0]])
    found = compare_codes(ours, theirs, chain([0.5, 0.0]).gap(theirs))
    assert (found.tie_flips, found.non_tie_flips, found.excused) == (1, 0, 1)
    ours[1, 1] = 1
    assert compare_codes(ours, theirs, chain([0.5, 0.0]).gap(theirs)).non_tie_flips == 1


@pytest.mark.parametrize(("value", "tie"), [(0.5, True), (0.500001, True), (0.50002, False), (0.4, False)])
def test_a_tie_is_a_gap_of_squared_distances_under_one_in_ten_thousand(value: float, tie: bool) -> None:
    theirs, ours = torch.tensor([[1 if value > 0.5 else 0]]), torch.tensor([[0 if value > 0.5 else 1]])
    found = compare_codes(ours, theirs, chain([value]).gap(theirs))
    assert (found.tie_flips, found.non_tie_flips) == ((1, 0) if tie else (0, 1))


def test_a_third_codeword_is_no_tie_where_two_others_are() -> None:
    theirs, ours = torch.tensor([[0]]), torch.tensor([[2]])
    assert compare_codes(ours, theirs, chain([0.5]).gap(theirs)).non_tie_flips == 1


def test_the_reference_choosing_far_is_a_defect_too() -> None:
    theirs, ours = torch.tensor([[2]]), torch.tensor([[0]])
    assert compare_codes(ours, theirs, chain([0.1]).gap(theirs)).non_tie_flips == 1


def test_deeper_levels_are_judged_by_the_residual() -> None:
    theirs = torch.tensor([[1], [0]])
    ours = torch.tensor([[1], [1]])
    # 1.5 - 1 leaves 0.5: a tie at the second level.
    assert compare_codes(ours, theirs, chain([1.5]).gap(theirs)).tie_flips == 1
    assert compare_codes(ours, theirs, chain([1.2]).gap(theirs)).non_tie_flips == 1


def test_without_distances_every_difference_is_a_defect() -> None:
    assert compare_codes(torch.tensor([[1]]), torch.tensor([[0]])).non_tie_flips == 1


def test_an_exact_hit_is_no_excuse() -> None:
    theirs, ours = torch.tensor([[0]]), torch.tensor([[1]])
    assert compare_codes(ours, theirs, chain([0.0]).gap(theirs)).non_tie_flips == 1


def test_chains_do_not_excuse_each_other() -> None:
    theirs, ours = torch.tensor([[0], [0]]), torch.tensor([[1], [2]])
    lookups = [chain([0.5], 1), ResidualLookup(torch.tensor([[0.0]]), [Level(BOOK)], first=1)]
    found = compare_codes(ours, theirs, join_gaps(lookups, theirs), chains=[[0], [1]])
    assert (found.tie_flips, found.non_tie_flips, found.excused) == (1, 1, 0)


def test_slow_codes_are_counted_once_and_must_be_held() -> None:
    theirs = torch.tensor([[1, 1, 2, 2], [0, 1, 2, 0]])
    found = compare_codes(theirs, theirs, strides=[2, 1])
    assert (found.total, found.frames) == (6, 2)
    with pytest.raises(AssertionError, match="not held for 2 frames"):
        compare_codes(torch.tensor([[1, 0, 2, 2], [0, 1, 2, 0]]), theirs, strides=[2, 1])


def test_a_slow_flip_excuses_all_frames_under_it() -> None:
    theirs = torch.tensor([[0, 0, 1, 1], [0, 0, 0, 0]])
    ours = torch.tensor([[1, 1, 1, 1], [2, 1, 0, 1]])
    lookup = ResidualLookup(torch.tensor([[0.5, 0.5, 1.0, 1.0]]), [Level(BOOK, stride=2), Level(BOOK)])
    found = compare_codes(ours, theirs, lookup.gap(theirs), strides=[2, 1])
    assert (found.tie_flips, found.excused, found.non_tie_flips) == (1, 2, 1)


def test_a_slow_flip_is_judged_at_its_own_place() -> None:
    theirs = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 0]])
    ours = torch.tensor([[0, 0, 1, 1], [0, 0, 0, 0]])
    for values, ties in (([0.0, 0.0, 0.5, 0.5], 1), ([0.5, 0.5, 0.0, 0.0], 0)):
        lookup = ResidualLookup(torch.tensor([values]), [Level(BOOK, stride=2), Level(BOOK)])
        found = compare_codes(ours, theirs, lookup.gap(theirs), strides=[2, 1])
        assert (found.tie_flips, found.non_tie_flips) == (ties, 1 - ties)


def test_projected_and_normalised_levels_follow_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(2, 3, generator=generator), torch.randn(2, generator=generator)
    back, shift = torch.randn(3, 2, generator=generator), torch.randn(3, generator=generator)
    book = torch.randn(5, 2, generator=generator)
    level = Level(book, (weight, bias), (back, shift), normalise=True)
    latents = torch.randn(3, 4, generator=generator)
    codes = torch.tensor([[4, 3, 2, 1], [0, 0, 0, 0]])
    residual = latents[:, 2].double() - (back.double() @ book[2].double() + shift.double())
    query = torch.nn.functional.normalize(weight.double() @ residual + bias.double(), dim=0)
    wanted = (query - torch.nn.functional.normalize(book.double(), dim=1)).square().sum(1)
    found = ResidualLookup(latents, [level, level]).gap(codes)(1, 2, 0, 3)
    torch.testing.assert_close(torch.tensor(found), torch.stack([wanted[0], wanted[3], wanted.min()]).float())


def test_shapes_must_agree() -> None:
    with pytest.raises(AssertionError, match="differ in shape"):
        compare_codes(torch.zeros(1, 3), torch.zeros(1, 4))


def test_vacuous_codes_are_refused() -> None:
    same = torch.zeros(2, 500, dtype=torch.int64)
    with pytest.raises(AssertionError, match="vacuous"):
        compare_codes(same, same).require_diverse()
    with pytest.raises(AssertionError, match="no codes"):
        CodeComparison().require_diverse()
    varied = torch.arange(500).expand(2, 500)
    compare_codes(varied, varied).require_diverse()
    with pytest.raises(AssertionError, match="vacuous"):
        compare_codes(varied, varied).require_diverse([200, 501])


def test_sums_join_counts_and_the_codes_that_were_used() -> None:
    codes = torch.tensor([[0, 1], [2, 3]])
    total = compare_codes(codes, codes) + compare_codes(codes + 1, codes + 1) + CodeComparison()
    assert (total.total, total.equal, total.frames, total.distinct) == (8, 8, 4, [3, 3])
    fewer = total + compare_codes(codes[:1] + 7, codes[:1] + 7)
    assert fewer.distinct == [5, 3]


def test_defects_and_too_many_ties_fail() -> None:
    with pytest.raises(AssertionError, match="without a tie"):
        CodeComparison(10, 9, 0, 1, frames=10).require()
    CodeComparison(2000, 1998, 2, frames=2000).require()
    with pytest.raises(AssertionError, match="3 tie flips in 2000 frames"):
        CodeComparison(2000, 1997, 3, frames=2000).require()
    with pytest.raises(AssertionError, match="2 tie flips in 1000 frames, allowed 1"):
        CodeComparison(32_000, 31_998, 2, frames=1000).require()


def test_distances_are_exact_where_the_expanded_formula_cancels() -> None:
    far = Level(torch.tensor([[1e4], [1e4 + 0.5]]))
    assert ResidualLookup(torch.tensor([[1e4]]), [far]).gap(torch.zeros(1, 1))(0, 0, 1, 0) == Distances(0.25, 0.0, 0.0)
