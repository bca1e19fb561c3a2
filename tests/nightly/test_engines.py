"""The same job by processes of datatrove and of Ray, and batches by Ray Data. Needs the extra [cluster].

Not collected with the other tests, for the minute that starting Ray takes: `python -m pytest tests/nightly`.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.corpus.support import encode_here, tree, write_sounds, write_tokenizer
from tokaudio.corpus.engines import datatrove, ray
from tokaudio.corpus.options import EncodeOptions
from tokaudio.corpus.plan import Sharding

pytestmark = pytest.mark.filterwarnings("ignore")


def test_datatrove_and_ray_give_the_shards_of_one_process(tmp_path: Path) -> None:
    tokenize, sounds = write_tokenizer(tmp_path / "tokenizer"), write_sounds(tmp_path / "sounds", 40)
    encode_here(sounds, tmp_path / "here", tokenize, items=5)
    options = EncodeOptions(tokenize, sharding=Sharding(items=5))
    datatrove.encode_corpus(sounds, tmp_path / "datatrove", options, tasks=3, workers=2)
    ray.encode_corpus(sounds, tmp_path / "ray", options, workers=2)
    assert tree(tmp_path / "datatrove") == tree(tmp_path / "here")
    assert tree(tmp_path / "ray") == tree(tmp_path / "here")


def test_batches_of_ray_data_have_the_codes_of_a_plain_loop(tmp_path: Path) -> None:
    tokenize, sounds = write_tokenizer(tmp_path / "tokenizer"), write_sounds(tmp_path / "sounds", 9)
    paths = sorted(str(path) for path in sounds.glob("*.wav"))
    wanted = {path: tokenize({"path": [path]})["codes"][0] for path in paths}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray as library

        library.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        try:
            data = library.data.from_items([{"path": path} for path in paths])
            rows = data.map_batches(tokenize, batch_size=4).take_all()
        finally:
            library.shutdown()
    assert sorted(row["path"] for row in rows) == paths
    for row in rows:
        np.testing.assert_array_equal(np.array(row["codes"].tolist()), wanted[row["path"]])
