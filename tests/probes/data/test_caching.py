"""Arrays kept by name, on a disk that may be shared or damaged."""

from pathlib import Path

import numpy as np

from tokaudio.probes.data.caching import ArrayCache, content_of, default_cache


def test_what_was_put_is_there_for_the_next_one_with_its_type(tmp_path: Path) -> None:
    first = ArrayCache(tmp_path, "a")
    arrays = {
        "one": np.arange(6, dtype=np.int32).reshape(2, 3),
        "two": np.array([0.5], np.float16),
        "none": np.zeros((0, 2)),
    }
    for name, array in arrays.items():
        first.put(name, array)
    assert ArrayCache(tmp_path, "a").get("one") is None
    first.flush()
    again = ArrayCache(tmp_path, "a")
    for name, array in arrays.items():
        found = again.get(name)
        assert found is not None and found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
    assert ArrayCache(tmp_path, "b").get("one") is None


def test_it_computes_once(tmp_path: Path) -> None:
    cache, calls = ArrayCache(tmp_path, "a"), []
    for _ in range(2):
        cache.get_or("x", lambda: calls.append(1) or np.zeros(1))
    cache.flush()
    ArrayCache(tmp_path, "a").get_or("x", lambda: calls.append(1) or np.zeros(1))
    assert len(calls) == 1


def test_two_that_write_at_once_both_count(tmp_path: Path) -> None:
    one, other = ArrayCache(tmp_path, "a"), ArrayCache(tmp_path, "a")
    one.put("x", np.ones(1))
    other.put("y", np.zeros(1))
    one.flush()
    other.flush()
    third = ArrayCache(tmp_path, "a")
    assert third.get("x") is not None and third.get("y") is not None


def test_a_damaged_pack_counts_as_not_there(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path, "a")
    cache.put("x", np.ones(1))
    cache.flush()
    (pack,) = (tmp_path / "a").iterdir()
    pack.write_bytes(pack.read_bytes()[:-3])
    (tmp_path / "a" / "zz.safetensors").write_bytes(b"no such thing")
    assert ArrayCache(tmp_path, "a").get("x") is None


def test_much_is_written_by_itself(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path, "a")
    cache.put("x", np.zeros(1 << 22, np.float64))
    assert ArrayCache(tmp_path, "a").get("x") is not None


def test_a_cache_of_nowhere_keeps_in_memory_only() -> None:
    cache = ArrayCache(None, "a")
    cache.put("x", np.ones(1))
    cache.flush()
    assert cache.get("x") is not None


def test_content_is_of_samples_and_rate() -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, (1, 50)).astype(np.float32)
    told = content_of(sound, 16_000)
    assert content_of(np.rint(sound * 32768) / 32768, 16_000) == told
    assert len({told, content_of(sound, 8_000), content_of(sound[:, 1:], 16_000), content_of(-sound, 16_000)}) == 4
    assert content_of(sound.reshape(2, 25), 16_000) != told


def test_the_cache_is_where_the_system_says(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "tokaudio" / "probes"
