"""The twenty checks before every release, and which tests are each of them: `python -m tests.gate [CHECK ...]`.

The tests are part of the suite; this runs them alone, and says how long each check took. Their long versions are in
`tests/nightly`. The letters and numbers are those of docs/guarantees.md.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAWS = "tests/contract/test_tokenizers.py"
EVERYWHERE = "tests/contract/test_everywhere.py"
GATE: dict[str, tuple[str, ...]] = {
    "A2": (
        "tests/audio/test_integrity.py",
        "tests/cli/test_bad_audio.py::test_truncated_file_can_be_accepted",
        "tests/cli/test_bad_audio.py::test_single_bad_file_is_refused",
    ),
    "A4": (
        "tests/fuzzing/test_audio_files.py",
        "tests/audio/test_io.py::test_decoders_stay_silent",
        "tests/corpus/engines/test_local.py::test_an_input_that_kills_its_process_costs_itself_alone",
    ),
    "A6": (
        "tests/safety/test_no_pickles.py",
        "tests/checkpoints/test_sklearn_kmeans.py::test_nothing_happens_when_hostile_files_are_read",
        "tests/checkpoints/test_reading.py::test_a_hostile_pickle_is_refused_and_nothing_runs",
    ),
    "A9": (
        "tests/tokenizers/test_pretrained.py::test_weights_that_do_not_fit_are_refused_by_name",
        "tests/tokenizers/test_pretrained.py::test_denormal_weights_are_weights_like_others",
        "tests/tokenizers/test_pretrained.py::test_cut_or_garbled_weights_are_refused",
    ),
    "A10": (
        "tests/safety/test_bombs.py",
        "tests/storage/test_npz.py::test_bombs_are_refused_before_they_unpack",
        "tests/storage/test_npz.py::test_forged_shape_is_refused_before_allocation",
        "tests/storage/test_npz.py::test_lying_sizes_and_large_directories_are_refused",
    ),
    "A11": (
        "tests/safety/test_paths.py",
        "tests/cli/test_links.py",
        "tests/audio/test_io.py::test_special_files",
        "tests/audio/test_io.py::test_a_file_that_becomes_a_pipe_is_not_waited_for",
        "tests/storage/test_safe_npz.py::test_paths_that_are_no_regular_files_are_refused_at_once",
        "tests/checkpoints/test_reading.py::test_safetensors_in_several_files",
    ),
    "A13": ("tests/safety/test_remote_code.py",),
    "B1": ("tests/golden",),
    "B2": (f"{EVERYWHERE}::test_runs_agree", f"{EVERYWHERE}::test_processes_with_any_number_of_threads_agree"),
    "B3": (f"{EVERYWHERE}::test_processes_with_any_number_of_threads_agree", "tests/nn/test_determinism.py"),
    "B4": (
        f"{EVERYWHERE}::test_company_and_padding_change_nothing",
        "tests/corpus/test_tokenize_batch.py::test_codes_do_not_depend_on_the_batch",
    ),
    "B5": (f"{EVERYWHERE}::test_company_and_padding_change_nothing", LAWS),
    "B6": (f"{EVERYWHERE}::test_fifty_cuts_change_nothing", LAWS),
    "B9": ("tests/contract/test_quantizers.py", "tests/quantizers/test_search.py"),
    "B10": (LAWS,),
    "B11": (LAWS, "tests/test_spec.py::test_frames_cover_the_samples_and_no_more"),
    "C1": ("tests/corpus/test_killed.py",),
    "C3": (
        "tests/corpus/test_disks.py",
        "tests/corpus/test_journal.py::test_a_line_that_the_disk_does_not_take_is_no_line",
        "tests/test_atomic.py::test_a_device_that_takes_nothing",
        "tests/test_atomic.py::test_a_disk_that_takes_no_more",
    ),
    "C5": ("tests/corpus/test_hostile.py::test_every_input_is_ok_or_failed_with_its_reason",),
    "C6": (
        "tests/corpus/test_hostile.py::test_names_of_every_kind_come_through",
        "tests/cli/test_naming.py",
        "tests/cli/test_bad_audio.py::test_name_that_is_no_text_works",
        "tests/audio/test_io.py::test_names_of_every_kind",
    ),
}


def main() -> int:
    """Run the checks that are asked for, each test once, and end with 1 where one fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("checks", nargs="*", choices=[[], *GATE])
    given = parser.parse_args()
    began, done, failed = time.monotonic(), dict[str, bool](), []
    for check in given.checks or GATE:
        fresh = [test for test in GATE[check] if test not in done]
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        passed = not fresh or not subprocess.run([sys.executable, "-m", "pytest", "-q", *fresh], cwd=ROOT).returncode
        done |= dict.fromkeys(fresh, passed)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        right = all(done[test] for test in GATE[check])
        failed += [] if right else [check]
        said = "holds" if right else "FAILS"
        print(f"{check} {said}: {len(fresh)} new selections, {time.monotonic() - started:.0f} s, {cpu:.0f} CPU s")
        sys.stdout.flush()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = f"{time.monotonic() - began:.0f} s, {used.ru_utime + used.ru_stime:.0f} CPU s"
    print(f"{len(given.checks or GATE)} checks, {spent}")
    print(f"failed: {' '.join(failed)}" if failed else "all hold")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
