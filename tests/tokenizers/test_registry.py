"""What can be loaded by name."""

import subprocess
import sys

import pytest

from tokaudio import Tokenizer, list_tokenizers, tokenizer_spec
from tokaudio.catalogue import builtin_folder
from tokaudio.errors import UnknownNameError
from tokaudio.tokenizers.registry import FAMILIES, make_untrained


def test_every_name_has_facts_and_loads_to_them():
    for name in list_tokenizers():
        tokenizer = Tokenizer.from_pretrained(name)
        assert tokenizer.spec == tokenizer_spec(name)
        assert tokenizer.spec.name == name
        assert tokenizer.spec.licence


def test_names_are_filtered_by_kind():
    by_kind = [list_tokenizers(kind=kind) for kind in ("semantic", "compression", "hybrid")]
    assert sorted(name for names in by_kind for name in names) == list_tokenizers()
    assert "mini-codec" in by_kind[1]


def test_unknown_names_are_answered_with_those_that_exist():
    with pytest.raises(UnknownNameError, match=r"'nope'; .*mini-codec.* ship, `tokaudio list` shows all"):
        tokenizer_spec("nope")
    with pytest.raises(UnknownNameError, match=r"'nope'; there are .*spectral-codec"):
        make_untrained({"family": "nope"})
    with pytest.raises(UnknownNameError, match="None"):
        make_untrained({})


def test_families_stand_under_their_own_names_and_are_imported_when_asked_for():
    assert {name: family.FAMILY for name, family in FAMILIES.items()} == {name: name for name in FAMILIES}
    code = "import sys; from tokaudio import Tokenizer; Tokenizer.from_pretrained('mini-codec'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not [name for name in loaded if name.startswith("tokaudio.tokenizers.families.")]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../assets/mini-codec", "mini-codec/../mini-codec", "/", "mini\0codec"]
)
def test_names_are_no_paths(name: str):
    assert builtin_folder(name) is None


def test_mini_semantic_is_what_was_promised():
    spec = tokenizer_spec("mini-semantic")
    assert (spec.kind, spec.sample_rate, spec.frame_rate, spec.codebook_sizes) == ("semantic", 16_000, 50, (500, 500))
    assert [book.role for book in spec.codebooks] == ["semantic", "acoustic"] and spec.chunking == "exact"
    folder = builtin_folder("mini-semantic")
    assert folder is not None and (folder / "model.safetensors").stat().st_size <= 12_000_000
    weights = Tokenizer.from_pretrained("mini-semantic").state_dict()
    assert sum(weight.numel() for weight in weights.values()) <= 6_000_000


@pytest.mark.parametrize(
    ("name", "kind"), [("mini-codec", "compression"), ("mini-hybrid", "hybrid"), ("mini-bands", "compression")]
)
def test_the_small_codecs_are_what_was_promised(name: str, kind: str):
    spec = tokenizer_spec(name)
    assert (spec.kind, spec.sample_rate, spec.channels, spec.frame_rate) == (kind, 16_000, 1, 50)
    assert spec.num_codebooks == 8 and spec.bitrate_kbps == 4.0 and spec.chunking == "exact"
    folder = builtin_folder(name)
    assert folder is not None and (folder / "model.safetensors").stat().st_size <= 12_000_000
    weights = Tokenizer.from_pretrained(name).parameters()
    assert sum(weight.numel() for weight in weights) <= 6_000_000


def test_the_first_codebook_of_mini_hybrid_is_the_semantic_one():
    assert [book.role for book in tokenizer_spec("mini-hybrid").codebooks] == ["semantic", *["acoustic"] * 7]
