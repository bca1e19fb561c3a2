"""`tokaudio probe` and `tokaudio data quick`, on a handful of the voices that ship."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.support import Cli
from tokaudio.probes.data.quick_data import read_data
from tokaudio.probes.results import read_results

VOICES = ("af_alloy", "am_adam", "bf_alice", "af_bella", "af_nova", "am_puck", "bf_lily", "bm_fable")


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two words by eight voices."""
    folder = tmp_path_factory.mktemp("few")
    rows = []
    for one in read_data("quick"):
        if one.speaker in VOICES and one.facts.get("keyword") in ("yes", "seven"):
            shutil.copy(one.path, folder / one.path.name)
            rows.append({**one.facts, "path": one.path.name})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def test_results_are_written_told_and_found_again(cli: Cli, few: Path, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    line = ("probe", "-t", "mini-codec", "--task", "ks", "--data", few, "--seeds", "1", "--permutations", "1")
    first = cli(*line, "--cache", tmp_path / "cache", "-o", out)
    assert first.code == 0, first.err
    results = read_results(out)
    task = results.task("ks")
    assert results.tokenizer == "mini-codec" and task.missing_baselines == () and task.corpus == few.name
    assert results.costs.parameters > 1e6 and results.costs.encode_real_time_factor > 0
    assert results.versions["probes"] == task.probe_version and results.machine["cores"] >= 1
    for word in ("keyword spotting, accuracy", "majority 50.0 %", "untrained encoder", "log mel", "shuffled labels"):
        assert word in first.out
    again = cli(*line, "--cache", tmp_path / "cache", "-o", out, "-f")
    assert again.code == 0 and read_results(out).task("ks").measure.mean == task.measure.mean
    assert read_results(out).costs.encode_real_time_factor > 0
    assert cli(*line, "-o", out).failure.endswith("exists already; choose another name, or overwrite it with -f")


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (("--task", "nonsense"), "--task nonsense: is no task; use some of"),
        (("--suite", "slow"), "--suite slow: is no suite; use one of quick, generative, all"),
        (("--head", "mlp"), "--head mlp: is not known; use one of linear"),
        (("--data", "nowhere"), "nowhere: no such data; give quick"),
        (("-t", "nonsense"), "nonsense"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(cli: Cli, place: Path, extra: tuple[str, str], words: str) -> None:
    found = cli("probe", *extra)
    assert found.code == 2
    assert words in found.failure


def test_data_quick_lists_sources_with_licences_and_wants_both_options(cli: Cli) -> None:
    listed = cli("data", "quick")
    assert listed.code == 0
    for word in ("Apache-2.0", "festvox-ru", "GFDL-1.3", "apt-get install"):
        assert word in listed.out
    assert "-o: is missing" in cli("data", "quick", "--voices", "x").failure
