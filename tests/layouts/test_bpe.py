"""BPE over units: lossless, the same every time, and only for the units it was trained on."""

import hashlib
import json
import os
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.errors import MissingDependencyError, OutputError, TokensError
from tokaudio.layouts import UnitBPE
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokens import Tokens


def spec_of(size):
    return TokenizerSpec(f"units-{size}", "semantic", 16_000, 320, (CodebookSpec(size),))


def speech(size, items=6, length=300, seed=0):
    """Tokens that repeat themselves: words of a few units each, in random order."""
    generator = torch.Generator().manual_seed(seed)
    words = [torch.randint(size, (n,), generator=generator) for n in (2, 3, 3, 5, 8)]
    rows = []
    for _ in range(items):
        order = torch.randint(len(words), (length,), generator=generator).tolist()
        rows.append(torch.cat([words[number] for number in order])[None, :length])
    return [Tokens.from_codes(row, spec_of(size), fingerprint="ab") for row in rows]


@cache
def trained(size, extra=40):
    return UnitBPE.train(speech(size), vocabulary_size=size + extra)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([1, 7, 500]), st.data())
def test_decoding_gives_any_units_back(size, data):
    bpe = trained(size)
    units = data.draw(st.lists(st.integers(0, size - 1), max_size=60))
    ids = bpe.encode_units(np.array(units, dtype=np.int64))
    assert len(ids) <= len(units)
    assert bpe.decode([ids])[0].tolist() == units


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_ids_decode_to_their_units(data):
    bpe = trained(7)
    ids = data.draw(st.lists(st.integers(0, bpe.vocabulary_size - 1), max_size=40))
    units = bpe.decode_ids(ids).tolist()
    assert units == [unit for number in ids for unit in bpe.units_of_id(number)]
    assert bpe.decode_ids(bpe.encode_units(torch.tensor(units, dtype=torch.int64))).tolist() == units


def test_all_units_of_the_largest_codebooks():
    size = 65_536
    bpe = trained(size, extra=3)
    every = torch.randperm(size, generator=torch.Generator().manual_seed(1))
    assert torch.equal(bpe.decode_ids(bpe.encode_units(every)), every)
    assert bpe.vocabulary_size == size + 3
    assert all(bpe.units_of_id(unit) == (unit,) for unit in (0, 65_533, 65_534, 65_535))


def test_frequent_runs_become_one_id():
    tokens = speech(500)
    bpe = trained(500, extra=15)
    assert bpe.vocabulary_size == 515
    factor = bpe.compression(tokens)
    assert factor == sum(300 for _ in tokens) / sum(len(bpe.encode(item)[0]) for item in tokens) > 2.5
    assert max(len(bpe.units_of_id(number)) for number in range(500, 515)) == 8
    for longest in (2, 3, 5):
        limited = UnitBPE.train(tokens, vocabulary_size=530, longest=longest)
        assert max(len(limited.units_of_id(number)) for number in range(limited.vocabulary_size)) == longest
    assert bpe.compression([]) == 1.0


def test_a_batch_is_its_items_and_slow_codebooks_count_once():
    tokens = speech(500)
    batch = Tokens.batch([tokens[0], tokens[1].frames(0, 7), tokens[2].frames(0, 0)])
    ids = trained(500).encode(batch)
    assert [row.tolist() for row in ids] == [trained(500).encode(item)[0].tolist() for item in batch]
    assert len(ids[2]) == 0 and trained(500).decode(ids)[2].shape == (0,)
    spec = TokenizerSpec("slow", "semantic", 100, 10, (CodebookSpec(9), CodebookSpec(4, stride=3)))
    slow = Tokens.from_codes(torch.tensor([[0] * 7, [1, 1, 1, 2, 2, 2, 1]]), spec)
    assert UnitBPE.train([slow], vocabulary_size=4, codebook=1).encode(slow)[0].tolist() == [1, 2, 1]


def test_runs_come_back_with_their_durations():
    tokens = Tokens.from_codes(speech(7)[0].codes[0].repeat_interleave(2, dim=1), spec_of(7))
    runs = tokens.dedup()
    bpe = UnitBPE.train([runs], vocabulary_size=30)
    units = bpe.decode(bpe.encode(runs))[0]
    assert type(runs).from_codes(units[None], runs.durations[0], runs.spec).expand() == tokens
    with pytest.raises(TokensError, match="give tokens"):
        bpe.encode(tokens)
    with pytest.raises(TokensError, match="give the tokens before dedup"):
        UnitBPE.train([tokens, runs], vocabulary_size=30)


def test_training_is_the_same_every_time():
    code = (
        "import hashlib\nfrom tests.layouts.test_bpe import speech\nfrom tokaudio.layouts import UnitBPE\n"
        "bpe = UnitBPE.train(iter(speech(50, items=9, length=400)), vocabulary_size=150)\n"
        "print(hashlib.sha256(bpe.library.to_str().encode()).hexdigest())"
    )
    here = UnitBPE.train(speech(50, items=9, length=400), vocabulary_size=150).library.to_str()
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path),
                          "PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == hashlib.sha256(here.encode()).hexdigest()


def test_long_sequences_train_in_parts_and_encode_whole():
    long = Tokens.from_codes(torch.cat([item.codes[0] for item in speech(7, items=20)], dim=1), spec_of(7))
    bpe = UnitBPE.train([long], vocabulary_size=60)
    assert torch.equal(bpe.decode(bpe.encode(long))[0], long.codes[0, 0])


def test_saved_vocabulary_is_the_same_and_the_library_reads_it(tmp_path):
    import tokenizers

    bpe = trained(7)
    folder = bpe.save(tmp_path / "bpe")
    loaded = UnitBPE.load(folder)
    assert loaded.facts == bpe.facts and repr(loaded) == "UnitBPE(units-7, 7 units, 47 ids)"
    tokens = speech(7, seed=0)[0]
    assert torch.equal(loaded.encode(tokens)[0], bpe.encode(tokens)[0])
    assert tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size() == 47
    with pytest.raises(OutputError, match="exists"):
        bpe.save(folder)
    assert bpe.save(folder, overwrite=True) == folder
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        bpe.save(tmp_path / "file" / "bpe")


def rewrite(folder, facts=None, **model):
    """Change what a folder holds, and its digest with it."""
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | model), encoding="utf-8")
    document = json.loads((folder / "units.json").read_text(encoding="utf-8"))
    document |= {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **(facts or {})}
    (folder / "units.json").write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize(
    ("facts", "model", "message"),
    [
        ({"format": "other"}, {}, "of another format or version"),
        ({"version": 2}, {}, "of another format or version"),
        ({"codebook_size": "7"}, {}, "of another format or version"),
        ({"extra": 1}, {}, "is no vocabulary over units .TypeError."),
        ({"sha256": "0"}, {}, "is not the one that units.json is about"),
        ({"codebook_size": 8}, {}, "is no BPE over 8 units"),
        ({"codebook_size": 10**12}, {}, "is no BPE over 1000000000000 units"),
        ({"codebook_size": 6}, {}, "is no BPE over 6 units"),
        ({}, {"normalizer": {"type": "NFC"}}, "is no plain BPE"),
        ({}, {"model": {"type": "nonsense"}}, "cannot be read"),
        ({}, {"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}, "is no plain BPE"),
    ],
)
def test_damaged_folders_are_refused(facts, model, message, tmp_path):
    folder = trained(7).save(tmp_path / "bpe")
    rewrite(folder, facts, **model)
    with pytest.raises(TokensError, match=message):
        UnitBPE.load(folder)


def test_missing_files_are_refused(tmp_path):
    with pytest.raises(TokensError, match="is no vocabulary over units"):
        UnitBPE.load(tmp_path)


def test_wrong_input_is_refused(monkeypatch):
    bpe = trained(7)
    for wrong, message in (
        (torch.tensor([7]), "unit 7; give units from 0 to 6"),
        (torch.tensor([0.5]), "give integers"),
    ):
        with pytest.raises(TokensError, match=message):
            bpe.encode_units(wrong)
    with pytest.raises(TokensError, match="id 47; give ids from 0 to 46"):
        bpe.decode([[0, 47]])
    with pytest.raises(TokensError, match="made by units-500 "):
        bpe.encode(speech(500)[0])
    with pytest.raises(TokensError, match="a vocabulary of 6 for a codebook of 7; give at least 7"):
        UnitBPE.train(speech(7), vocabulary_size=6)
    with pytest.raises(TokensError, match="at most 1 units; give at least 2"):
        UnitBPE.train(speech(7), vocabulary_size=9, longest=1)
    with pytest.raises(TokensError, match="nothing to train on"):
        UnitBPE.train([], vocabulary_size=6)
    with pytest.raises(TokensError, match="made by units-7 "):
        UnitBPE.train([*speech(500), *speech(7)], vocabulary_size=600)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingDependencyError, match="tokenizers is missing; run: pip"):
        UnitBPE.train(speech(7), vocabulary_size=9)
