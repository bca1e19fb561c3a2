"""The catalogue: facts about published tokenizers, consistent in themselves and with the families that read them."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

import tokaudio
from tokaudio import catalogue
from tokaudio.catalogue import Entry, builtin, builtin_folder, entries, find, known_digests, published
from tokaudio.errors import UnknownNameError
from tokaudio.hub import split_name

ALL = published()
DATA = tomllib.loads((Path(tokaudio.__file__).parent / "assets" / "published.toml").read_text(encoding="utf-8"))


@pytest.fixture(params=ALL, ids=lambda entry: entry.name)
def entry(request: pytest.FixtureRequest) -> Entry:
    return request.param


def test_names_and_aliases_are_unique_and_no_built_in_ones() -> None:
    names = [name for entry in ALL for name in (entry.name, *entry.aliases)] + [entry.name for entry in builtin()]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert not any("/" in name or "@" in name or builtin_folder(name) for name in names[: -len(builtin())])


def test_every_family_of_the_plan_is_there() -> None:
    wanted = {"encodec", "dac", "speechtokenizer", "mimi", "snac", "wavtokenizer", "bigcodec", "xcodec", "higgs"}
    wanted |= {"xcodec2", "neucodec", "s3tokenizer", "qwen3tts", "nanocodec", "dualcodec", "facodec", "sqcodec"}
    assert set(DATA["family"]) == wanted | {"stablecodec", "focalcodec", "semantic"}
    assert {entry.family for entry in ALL} == set(DATA["family"])


def test_an_entry_is_well_formed(entry: Entry) -> None:
    assert entry.spec.licence
    assert re.fullmatch(r"(arXiv:\d{4}\.\d{5})?", entry.spec.paper)
    assert entry.spec.origin.startswith("https://")
    assert entry.status in ("verified", "by parts", "unverified", "planned")
    assert set(entry.sha256) <= set(entry.files)
    if entry.repo:
        assert split_name(entry.repo) == (entry.repo, None)
        assert entry.files and len(set(entry.files)) == len(entry.files)
        assert entry.where == ("files" if entry.backbone else "hub")
    else:
        assert entry.originals and not entry.files
        assert entry.where == "files"


def test_digests_are_digests(entry: Entry) -> None:
    for digest in (*entry.originals.values(), *entry.sha256.values()):
        assert re.fullmatch(r"|[0-9a-f]{8,64}", digest)
    for name, digest in entry.originals.items():
        if found := re.search(r"-([0-9a-f]{8})\.th$", name):
            assert digest.startswith(found[1]), "the name embeds it"


def test_no_weights_twice_and_nothing_of_a_trainer(entry: Entry) -> None:
    assert not any("optimizer" in name or "training" in name for name in entry.files)
    assert not {"model.safetensors", "pytorch_model.bin"} <= set(entry.files)


def test_only_known_fields_are_used() -> None:
    known = {field.name for field in dataclasses.fields(Entry)} | {"name", "kind", "licence", "codebooks"}
    for table in DATA["tokenizer"]:
        assert set(table) - {"spec"} <= known | set(catalogue._RATES)
    assert all(
        set(table) == {"status", "kind", "licence"} | set(table) & {"paper"} for table in DATA["family"].values()
    )


def test_rates_are_those_of_the_papers() -> None:
    rates = {
        "encodec-24k": (75, 32, 24.0),
        "encodec-48k": (150, 16, 24.0),
        "mimi": (12.5, 32, 4.4),
        "snac-24k": (46.875, 3, 0.984375),
        "speechtokenizer": (50, 8, 4.0),
        "wavtokenizer-40": (40, 1, 0.48),
        "bigcodec": (80, 1, 1.04),
        "xcodec2": (50, 1, 0.8),
        "facodec": (80, 6, 4.8),
    }
    found = {entry.name: entry.spec for entry in ALL}
    for name, (frames, books, kbps) in rates.items():
        spec = found[name]
        assert (spec.frame_rate, spec.num_codebooks, spec.bitrate_kbps) == (frames, books, pytest.approx(kbps)), name


def test_names_aliases_and_repositories_lead_to_the_same_entry() -> None:
    for entry in ALL:
        assert all(find(name) is entry for name in (entry.name, *entry.aliases))
    assert find("facebook/encodec_24khz") is find("encodec-24k") is not None
    assert find("nobody/nothing") is find("mini-codec") is find("") is None
    with pytest.raises(UnknownNameError, match=r"holds 2 tokenizers.*: wavtokenizer-small-40, wavtokenizer-small-75"):
        find("novateur/WavTokenizer")


def test_what_is_planned_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (
        dataclasses.replace(entry, status=s) for entry, s in zip(ALL, ("planned", "verified"), strict=False)
    )
    monkeypatch.setattr(catalogue, "published", lambda: (first, second))
    assert entries() == [*builtin(), second]
    shipped = [entry.name for entry in builtin()]
    assert {"mini-bands", "mini-codec", "mini-hybrid", "mini-semantic"} <= {*shipped}
    assert catalogue.list_tokenizers(published=True) == [*shipped, second.name]
    assert catalogue.list_tokenizers() == shipped
    assert catalogue.tokenizer_spec(second.spec.name) is second.spec
    with pytest.raises(UnknownNameError, match=rf"no tokenizer is called '{first.name}'; .*`tokaudio list` shows all"):
        catalogue.tokenizer_spec(first.name)


def test_what_is_offered_has_a_family_that_reads_it() -> None:
    from tokaudio.tokenizers.published import PublishedFamily
    from tokaudio.tokenizers.registry import FAMILIES

    for entry in ALL:
        if entry.status != "planned":
            assert isinstance(FAMILIES.get(entry.family), PublishedFamily), entry.name


def test_known_digests_of_a_name_that_two_releases_share() -> None:
    assert len(known_digests("speech_tokenizer_v1.onnx")) == 2
    assert known_digests("weights.pth") == known_digests("model.safetensors") == ()
