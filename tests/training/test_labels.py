"""Labels: numbers of speakers and phones from a manifest's columns, and where they land in crops."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tokaudio.audio.manifest import Recording, read_manifest
from tokaudio.training.augment import Augmentation, draw, draw_placed
from tokaudio.training.batches import Batches, Crops
from tokaudio.training.data import open_data
from tokaudio.training.labels import UNLABELLED, read_labels
from tokaudio.training.pool import AudioPool, write_pool
from tokaudio.training.recipe import DataOptions, HeadOptions, RecipeError

WANTED = HeadOptions(weight=1.0, speakers="who", phones="lab")
# Seconds that "b" lasts, between a second of "a" and one of "c".
LENGTHS = (0.5, 1.0, 0.0)


@pytest.fixture
def recordings(tmp_path: Path) -> list[Recording]:
    """Three sounds that are 0.1, 0.2 and 0.3 where the phones are a, b and c; the last has no label."""
    (tmp_path / "labs").mkdir()
    rows = ["path,who,lab"]
    for number, middle in enumerate(LENGTHS):
        counts = (4_000, int(4_000 * middle), 4_000)
        soundfile.write(tmp_path / f"{number}.wav", np.repeat([0.1, 0.2, 0.3], counts), 4_000, subtype="FLOAT")
        text = f"#\n1.0 0 a\n{1 + middle} 0 b\n{2 + middle} 0 c\n"
        (tmp_path / "labs" / f"{number}.lab").write_text(text)
        rows.append(f"{number}.wav,{'ab'[number]},labs/{number}.lab" if middle else f"{number}.wav,,")
    (tmp_path / "all.csv").write_text("\n".join(rows))
    return read_manifest(tmp_path / "all.csv")


def test_numbers_are_places_among_all_names(recordings: list[Recording]):
    labels = read_labels(recordings[::-1], WANTED)
    assert (labels.speakers, labels.phones) == (("a", "b"), ("a", "b", "c"))
    assert [labels.speaker(f"{number}.wav") for number in range(3)] == [0, 1, -1]
    times = torch.tensor([-0.1, 0.0, 0.99, 1.0, 1.49, 1.5, 2.4, 2.5])
    assert labels.phones_at("0.wav", times).tolist() == [-1, 0, 0, 1, 1, 2, 2, -1]
    assert labels.phones_at("2.wav", times).tolist() == [-1] * 8
    assert labels.digest() == read_labels(recordings, WANTED).digest()
    assert labels.digest() != read_labels(recordings[:1], WANTED).digest()
    assert read_labels(recordings, HeadOptions(weight=1.0)) is UNLABELLED


def test_columns_that_nobody_has_are_named(recordings: list[Recording]):
    with pytest.raises(RecipeError, match=r"losses\.heads\.speakers: no recording says anything in a column 'voice'; "):
        read_labels(recordings, HeadOptions(weight=1.0, speakers="voice"))
    with pytest.raises(RecipeError, match=r"losses\.heads\.phones: no recording"):
        read_labels(recordings[2:], HeadOptions(weight=1.0, phones="lab"))
    (recordings[0].path.parent / "labs" / "0.lab").unlink()
    with pytest.raises(ValueError, match=r"0.lab: cannot be read"):
        read_labels(recordings, WANTED)


@pytest.mark.parametrize("speed", [1.0, 1.3])
def test_the_phone_of_a_frame_is_what_is_heard_there(recordings: list[Recording], tmp_path: Path, speed: float):
    changes = Augmentation(plain=0.0, speed=speed, gain_db=(0, 0), tilt_db=0.0, noise_db=(-200, -200))
    options = DataOptions(batch=4, validation=0.0, augmentation=changes)
    pool, labels = open_data(recordings, tmp_path / "cache", 4_000, options), read_labels(recordings, WANTED)
    batches = Batches(Crops(pool, options, 2_000, 0, labels, 80), 4)
    seen: set[int] = set()
    for step in range(12):
        batch = batches.labelled(step)
        assert torch.equal(batch.signal, batches.at(step)) and batch.phones.shape == (4, 25)
        levels = batch.signal.unfold(1, 80, 80).mean(-1)
        for level, phones, speaker in zip(levels, batch.phones, batch.speakers, strict=True):
            assert (speaker < 0) == bool((phones < 0).all())
            inner = phones[2:-2] if speaker >= 0 else phones[:0]
            # The peak of a crop is 1: its levels have the ratios of the phones' in it.
            for one, other in ((a, b) for a in range(2, 23) for b in range(2, 23) if len(inner)):
                steady = all(len({*phones[at - 2 : at + 3].tolist()}) == 1 for at in (one, other))
                if steady and phones[one] >= 0 <= phones[other]:
                    wanted = (phones[one] + 1) / (phones[other] + 1)
                    assert abs(float(level[one] / level[other]) / float(wanted) - 1) < 0.05
            seen |= set(phones.tolist())
    assert seen == {-1, 0, 1, 2}


def test_crops_say_where_they_come_from(tmp_path: Path):
    write_pool(tmp_path, [("long", "a", np.linspace(0, 0.9, 4_000)), ("short", "a", np.full(300, 0.5))], 4_000)
    pool, plain = AudioPool(tmp_path), Augmentation(plain=1.0)
    starts = {}
    for seed in range(20):
        drawn = draw_placed(pool, torch.Generator().manual_seed(seed), 500, plain)
        assert torch.equal(drawn.signal, draw(pool, torch.Generator().manual_seed(seed), 500, plain))
        assert torch.equal(drawn.signal, pool.cut(drawn.clip, drawn.start, 500)) and drawn.speed == 1.0
        starts.setdefault(drawn.clip.id, []).append(drawn.start)
    assert min(starts["long"]) >= 0 and min(starts["short"]) < 0
    silent = pool.cut(pool.clips[1], -100, 500)
    assert [bool(silent[at]) for at in (0, 99, 100, 399, 400, 499)] == [False, False, True, True, False, False]


def test_the_same_crops_are_cut_with_and_without_labels(recordings: list[Recording], tmp_path: Path):
    options = DataOptions(batch=2, validation=0.0)
    pool = open_data(recordings, tmp_path / "cache", 4_000, options)
    plain = Crops(pool, options, 1_000, 0)
    told = dataclasses.replace(plain, labels=read_labels(recordings, WANTED), hop_length=100)
    assert torch.equal(Batches(plain, 2).at(3), Batches(told, 2).at(3))
    assert Batches(plain, 2).labelled(3).phones.shape == (2, 0)
