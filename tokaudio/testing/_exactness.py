"""Laws of level A: every code identical, whatever the process, the threads, the company or the container."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import torch
from torch import Tensor

from tokaudio.audio import read_audio, write_audio
from tokaudio.testing._case import Case
from tokaudio.testing.report import require, require_same
from tokaudio.tokens import Tokens

# Run by a fresh interpreter: arguments are a tokenizer folder, a file of clips, and modules to import first.
_FRESH = """
import hashlib, importlib, sys
import numpy, torch
for module in sys.argv[3:]:
    importlib.import_module(module)
from tokaudio.tokenizers import Tokenizer
tokenizer = Tokenizer.from_pretrained(sys.argv[1])
print(tokenizer.fingerprint)
with numpy.load(sys.argv[2], allow_pickle=False) as clips:
    for name in clips.files:
        codes = tokenizer.encode(torch.from_numpy(clips[name])).numpy()
        print(hashlib.sha256(str(codes.shape).encode() + codes.tobytes()).hexdigest())
"""


def rerun(case: Case) -> int:
    """Encoding and decoding twice gives the same."""
    for number, (clip, tokens, sound) in enumerate(zip(case.clips, case.tokens, case.sounds, strict=True)):
        require_same(case.tokenizer.encode(clip).codes, tokens.codes, f"codes of clip {number} on a rerun")
        require_same(case.decode(tokens)[0], sound, f"sound of clip {number} on a rerun")
    return 2 * len(case.clips)


def fresh_process(case: Case) -> int:
    """A new interpreter that loads what `save_pretrained` wrote gives the same codes."""
    folder = case.tokenizer.save_pretrained(case.folder / "saved")
    np.savez(case.folder / "clips.npz", *[clip.numpy() for clip in case.clips])  # type: ignore[arg-type]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),  # noqa: PTH109
        "PYTHONHASHSEED": str(case.pick(1, 2**32 - 1, 1)[0]),
    }
    command = [sys.executable, "-c", _FRESH, str(folder), str(case.folder / "clips.npz"), *case.imports]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    last = (done.stderr.strip().splitlines() or [""])[-1]
    require(done.returncode == 0, f"a new process could not load and encode: {last}")
    fingerprint, *digests = done.stdout.split()
    require(fingerprint == case.tokenizer.fingerprint, "the fingerprint changes when saved and loaded")
    for number, (digest, tokens) in enumerate(zip(digests, case.tokens, strict=True)):
        require(digest == _digest(tokens), f"codes of clip {number} differ in a new process")
    return len(digests)


def _digest(tokens: Tokens) -> str:
    codes = tokens.numpy()
    return hashlib.sha256(str(codes.shape).encode() + codes.tobytes()).hexdigest()


def threads(case: Case) -> int:
    """The number of threads changes nothing."""
    before = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            for clip, tokens, sound in zip(case.clips, case.tokens, case.sounds, strict=True):
                require_same(case.tokenizer.encode(clip).codes, tokens.codes, f"codes with {count} threads")
                require_same(case.decode(tokens)[0], sound, f"sound with {count} threads")
            require(torch.get_num_threads() == count, "the number of threads is not put back")
    finally:
        torch.set_num_threads(before)
    return 4 * len(case.clips)


def batches(case: Case) -> int:
    """An item's codes and sound do not depend on its neighbours, nor on their order, nor on repetition."""
    total = 0
    for round_number in range(20 if case.thorough else 3):
        picks = case.pick(0, len(case.clips) - 1, case.pick(2, 6, 1, seed=round_number)[0], seed=100 + round_number)
        tokens = case.tokenizer.encode([case.clips[pick] for pick in picks])
        _require_items(case, tokens, picks, "a ragged list")
        sounds = case.decode(tokens)
        for row, pick in zip(sounds, picks, strict=True):
            length = case.sounds[pick].shape[1]
            require_same(row[:, :length], case.sounds[pick], f"sound of clip {pick} decoded among {picks}")
            require(not bool(row[:, length:].any()), f"sound after the end of clip {pick} is not zero")
        total += 2 * len(picks)
    return total


def padding(case: Case) -> int:
    """What stands to the right of an item's real samples in a padded batch changes nothing."""
    longest = max(clip.shape[1] for clip in case.clips)
    total = 0
    for name, fill in (("silence", 0.0), ("noise", 0.9)):
        generator = torch.Generator().manual_seed(case.seed)
        shape = (len(case.clips), case.tokenizer.spec.channels, longest)
        batch = fill * torch.empty(shape).uniform_(-1, 1, generator=generator)
        for row, clip in zip(batch, case.clips, strict=True):
            row[:, : clip.shape[1]] = clip
        tokens = case.tokenizer.encode(batch, num_samples=[clip.shape[1] for clip in case.clips])
        _require_items(case, tokens, list(range(len(case.clips))), f"a batch padded with {name}")
        total += len(case.clips)
    return total


def _require_items(case: Case, tokens: Tokens, picks: list[int], where: str) -> None:
    require(len(tokens) == len(picks), f"{where} of {len(picks)} items gives {len(tokens)}")
    for item, pick in zip(tokens, picks, strict=True):
        require_same(item.codes, case.tokens[pick].codes, f"codes of clip {pick} in {where}")
        require_same(item.num_samples, case.tokens[pick].num_samples, f"num_samples of clip {pick} in {where}")


def container(case: Case) -> int:
    """A token file gives back equal tokens, which decode to the same sound."""
    for number, (tokens, sound) in enumerate(zip(case.tokens, case.sounds, strict=True)):
        path = case.folder / f"tokens-{number}.npz"
        tokens.save(path)
        loaded = Tokens.load(path)
        require(loaded == tokens, f"tokens of clip {number} differ after a round trip through {path.suffix}")
        require_same(case.decode(loaded)[0], sound, f"sound of clip {number} from a token file")
    return 2 * len(case.tokens)


def files(case: Case) -> int:
    """A path gives the codes of the samples it holds, at the tokenizer's rate and where it is resampled."""
    other = 22_050 if case.rate != 22_050 else 44_100
    for rate in (case.rate, other):
        path = case.folder / f"clip-{rate}.wav"
        write_audio(path, case.clips[2], rate, subtype="FLOAT")
        samples, _ = read_audio(path)
        streamed, whole = case.tokenizer.encode(path), case.tokenizer.encode(samples, rate)
        require_same(streamed.codes, whole.codes, f"codes of a file at {rate} Hz and of its samples")
        require_same(streamed.num_samples, whole.num_samples, f"num_samples of a file at {rate} Hz and of its samples")
        listed: Tensor = case.tokenizer.encode([path, path])[1].codes
        require_same(listed, whole.codes, f"codes of a list of files at {rate} Hz")
    return 6
