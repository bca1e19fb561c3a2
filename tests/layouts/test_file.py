"""`tokaudio.json`: every layout comes back as it was, and the numbers in it suffice without tokaudio."""

import json

import numpy as np
import pytest

from tests.layouts.shapes import SNAC, codes_of, spec_of
from tokaudio.errors import OutputError, TokensError
from tokaudio.layouts import (
    FlatLayout,
    GridLayout,
    RunsLayout,
    SplitLayout,
    TimedLayout,
    TimedText,
    Vocabulary,
    coarse_first,
    load_layout,
    save_layout,
    semantic_then_acoustic,
)

ONE_RATE = spec_of((1, 1, 1))
LAYOUTS = {
    "flat": FlatLayout(SNAC, vocabulary=Vocabulary.for_spec(SNAC, text_size=9, per_phase=True), fingerprint="ab"),
    "coarse": FlatLayout(SNAC, coarse_first(SNAC, chunk=8, separated=True)),
    "semantic": FlatLayout(ONE_RATE, semantic_then_acoustic(ONE_RATE)),
    "delay": GridLayout(ONE_RATE, delays=(0, 1, 2), lead=1, before=30, after=31),
    "places": GridLayout(SNAC, by_place=True, vocabulary=Vocabulary.for_spec(SNAC)),
    "runs": RunsLayout(ONE_RATE),
    "split": SplitLayout(ONE_RATE, fingerprint="ab"),
    "timed": TimedLayout(SNAC, Vocabulary.for_spec(SNAC, text_size=9), block=8),
}


def written(layout, codes):
    ids = (
        layout.encode_codes(codes, TimedText([3], [8]))
        if isinstance(layout, TimedLayout)
        else layout.encode_codes(codes)
    )
    return [row.tolist() for row in ids] if isinstance(ids, tuple) else ids.tolist()


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_come_back_as_they_were(name, tmp_path):
    layout = LAYOUTS[name]
    path = save_layout(tmp_path, layout)
    for place in (path, tmp_path):
        again = load_layout(place)
        assert type(again) is type(layout) and again.spec == layout.spec and again.vocabulary == layout.vocabulary
        codes = codes_of(layout.spec, 12)
        assert written(again, codes) == written(layout, codes)
    with pytest.raises(OutputError, match="exists"):
        save_layout(tmp_path, layout)
    if not isinstance(layout, TimedLayout):
        assert again.fingerprint == layout.fingerprint


def test_ids_can_be_read_without_tokaudio(tmp_path):
    layout = LAYOUTS["flat"]
    document = json.loads(save_layout(tmp_path, layout).read_text(encoding="utf-8"))
    codes = codes_of(SNAC, 8)
    found = {book: [] for book in range(3)}
    for number in layout.encode_codes(codes).tolist():
        [own] = [one for one in document["vocabulary"]["codes"] if 0 <= number - one["first"] < one["size"]]
        found[own["codebook"]].append(number - own["first"])
    strides = [book["stride"] for book in document["tokenizer"]["codebooks"]]
    assert all(np.repeat(found[k], strides[k]).tolist() == codes[k].tolist() for k in found)
    assert document["vocabulary"]["specials"] == {"bos": 9, "eos": 10, "pad": 11, "sep": 12}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "this is tokaudio-layout 2, and tokaudio-layout 1 can be read"),
        ({"format": "other"}, "this is other 1"),
        ({"layout": {"name": "spiral"}}, "no layout is called 'spiral'"),
        ({"layout": {"name": "flat"}}, "missing or ill-typed fields"),
        ({"layout": 3}, "missing or ill-typed fields"),
        ({"vocabulary": {}}, "missing or ill-typed fields"),
        ({"tokenizer": {}}, "spec|missing"),
    ],
)
def test_damaged_files_are_refused_by_name(change, message, tmp_path):
    path = save_layout(tmp_path, LAYOUTS["flat"])
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(TokensError, match=f"tokaudio.json: .*({message})"):
        load_layout(path)


@pytest.mark.parametrize(("text", "message"), [("[1]", "holds no layout"), ("{", "cannot be read"), (None, "FileNotF")])
def test_files_that_are_none_are_refused(text, message, tmp_path):
    path = tmp_path / "tokaudio.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(TokensError, match=message):
        load_layout(path)
