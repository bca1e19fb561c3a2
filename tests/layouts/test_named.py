"""Every layout by name, for every tokenizer that there is."""

import numpy as np
import pytest

from tests.layouts.shapes import SNAC, codes_of, spec_of
from tokaudio.catalogue import list_tokenizers, tokenizer_spec
from tokaudio.errors import TokensError, UnknownNameError
from tokaudio.layouts import LAYOUT_NAMES, SplitLayout, layout_document, layout_from_document, make_layout

TOKENIZERS = sorted({*list_tokenizers(), *list_tokenizers(published=True)})


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_every_tokenizer_can_be_laid_out_and_back(tokenizer):
    spec = tokenizer_spec(tokenizer)
    codes, laid_out = codes_of(spec, 3 * spec.stride_period), []
    for name in LAYOUT_NAMES:
        try:
            layout = make_layout(name, spec, text_size=1000, fingerprint="ab")
        except TokensError:
            continue  # no semantic codebook, or several rates
        again = layout_from_document(layout_document(layout))
        ids = layout.encode_codes(codes)
        back = again.decode_ids(*ids) if isinstance(again, SplitLayout) else again.decode_ids(ids)
        assert np.array_equal(back, codes)
        laid_out.append(name)
    always = {"flatten", "flatten-by-place", "coarse-first", "parallel", "delay", "acoustic-delay", "runs"}
    assert always <= set(laid_out)
    assert ("split" in laid_out) == (spec.stride_period == 1)
    roles = [book.role == "semantic" for book in spec.codebooks]
    assert ("semantic-then-acoustic" in laid_out) == (any(roles) and not all(roles))


def test_names_mean_what_they_say():
    spec = spec_of((1, 1, 1))
    assert make_layout("delay", spec).delays == (0, 1, 2) and make_layout("parallel", spec).delays == (0, 0, 0)
    assert make_layout("acoustic-delay", spec).delays == (0, 1, 1)
    assert make_layout("coarse-first", spec).order.stages == ((0,), (1,), (2,))
    assert make_layout("semantic-then-acoustic", spec).order.stages == ((0,), (1, 2))
    assert len(make_layout("flatten-by-place", SNAC).vocabulary.ranges) == 7
    assert make_layout("flatten", spec, text_size=50).vocabulary.firsts(0).tolist() == [54]
    with pytest.raises(UnknownNameError, match="no layout is called 'spiral'; there are flatten, "):
        make_layout("spiral", spec)
