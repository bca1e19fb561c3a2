import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.near import assert_near
from tokaudio.errors import TokensError
from tokaudio.quantizers import ResidualVectorQuantizer
from tokaudio.quantizers.depth import NO_CODE, decode_to_depth, depth_of, without_unused

QUANTIZER = ResidualVectorQuantizer(6, 16, num_codebooks=4).eval()


@given(depth=st.lists(st.integers(0, 4), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_every_frame_has_the_vector_of_its_own_first_codes(depth: list[int], seed: int):
    codes = torch.randint(16, (1, 4, len(depth)), generator=torch.Generator().manual_seed(seed))
    marked = without_unused(codes, torch.tensor([depth]))
    assert depth_of(marked).tolist() == [depth]
    vectors = decode_to_depth(QUANTIZER.decode, marked)
    for frame, d in enumerate(depth):
        wanted = QUANTIZER.decode(codes[:, :d, frame : frame + 1])[0, :, 0] if d else torch.zeros(6)
        assert_near(vectors[0, :, frame], wanted)


def test_codes_of_full_depth_are_decoded_as_ever():
    codes = torch.randint(16, (2, 4, 9), generator=torch.Generator().manual_seed(0))
    assert torch.equal(decode_to_depth(QUANTIZER.decode, codes), QUANTIZER.decode(codes))
    none = decode_to_depth(QUANTIZER.decode, torch.full((2, 4, 9), NO_CODE))
    assert none.shape == (2, 6, 9) and not none.any()


def test_a_code_after_a_missing_one_is_refused():
    with pytest.raises(TokensError, match="lacks an earlier one"):
        depth_of(torch.tensor([[[NO_CODE], [3]]]))
