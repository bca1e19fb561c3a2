"""What probes read of recordings, computed once: codes, continuous features, an untrained encoder's codes, log-mel.

    source = Extraction(tokenizer, recordings, cache=folder)
    source.codes()      # CodeInputs over all recordings
    source.features()   # VectorInputs

Clips are encoded alone: codes do not depend on the batch (level A), so that caches may be shared by any runs.
"""

from __future__ import annotations

import copy
import resource
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tokaudio.audio import read_audio, resample, to_channels
from tokaudio.audio.log_mel import RATE, SHORTEST, LogMel
from tokaudio.audio.manifest import Recording
from tokaudio.probes.data.caching import ArrayCache, content_of
from tokaudio.probes.data.fingerprints import fingerprint_of
from tokaudio.probes.models.inputs import CodeInputs, VectorInputs
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokens import Tokens

Array = NDArray[Any]
Listener = Callable[[str, int, int], None]
"""Called with what is being extracted, how many recordings are done, and of how many."""
MELS = 80
_TIMED_CLIPS = 8


class Extraction:
    """Everything that probes read of some recordings.

    Args:
        tokenizer: whose tokens and features are meant.
        recordings: all of them; numbers of clips are places in this list.
        num_codebooks: use only the first so many; None for all.
        cache: folder of all caches; None for none.
        listener: is told how far it is.

    Attributes:
        cache: folder of all caches.
        encode_seconds: spent on encoding, and `encoded_seconds` of audio that this was; both 0 if all was cached.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        recordings: Sequence[Recording],
        *,
        num_codebooks: int | None = None,
        cache: Path | None = None,
        listener: Listener = lambda *_: None,
    ) -> None:
        self.tokenizer, self.recordings, self.listener = tokenizer, list(recordings), listener
        self.num_codebooks = tokenizer.spec.num_codebooks if num_codebooks is None else num_codebooks
        self.spec = tokenizer.spec.select(self.num_codebooks)
        self.encode_seconds, self.encoded_seconds = 0.0, 0.0
        self.seconds: list[float] = []
        self.contents: list[str] = []
        self.prints: list[Array] = []
        self.cache = cache
        self._kept: dict[str, list[Array]] = {}
        self._read_contents()

    def _read_contents(self) -> None:
        """Read every recording once, for its content, length and fingerprint."""
        cache = ArrayCache(self.cache, "fingerprints-1")
        for number, recording in enumerate(self.recordings):
            samples, rate = _samples(recording)
            content = content_of(samples.numpy(), rate)
            self.contents.append(content)
            self.seconds.append(samples.shape[1] / rate)
            self.prints.append(cache.get_or(content, partial(fingerprint_of, samples.numpy(), rate)))
            self.listener("read", number + 1, len(self.recordings))
        cache.flush()

    def _each(self, name: str, identity: str, compute: Callable[[Tensor, int], Array]) -> list[Array]:
        """Return an array for each recording, from the cache or computed."""
        if name not in self._kept:
            cache, rows = ArrayCache(self.cache, identity), list[Array]()
            try:
                for number, (recording, content) in enumerate(zip(self.recordings, self.contents, strict=True)):
                    rows.append(cache.get_or(content, partial(_computed, compute, recording)))
                    self.listener(name, number + 1, len(self.recordings))
            finally:
                cache.flush()
            self._kept[name] = rows
        return self._kept[name]

    def codes(self, *, tables: bool = True) -> CodeInputs:
        """Return the tokenizer's codes, with its codebooks to start from if `tables`."""
        rows = self._each("codes", f"{self.tokenizer.fingerprint}-codes-{self.num_codebooks}", self._encode)
        return CodeInputs("tokens", rows, self.spec.codebook_sizes, self._tables(self.tokenizer) if tables else None)

    def _encode(self, samples: Tensor, rate: int) -> Array:
        started = time.process_time()
        tokens = self.tokenizer.encode(samples, rate, num_codebooks=self.num_codebooks)
        self.encode_seconds += time.process_time() - started
        self.encoded_seconds += samples.shape[1] / rate
        return _codes(tokens)

    def encode_real_time_factor(self) -> float:
        """Return how many seconds of CPU a second of audio takes to encode; of a few clips, if all codes were kept."""
        if not self.encoded_seconds:
            for recording in self.recordings[:_TIMED_CLIPS]:
                self._encode(*_samples(recording))
        return self.encode_seconds / max(self.encoded_seconds, 1e-9)

    def features(self) -> VectorInputs:
        """Return the tokenizer's vectors before quantization."""

        def hear(samples: Tensor, rate: int) -> Array:
            return self.tokenizer.features(samples, rate)[0].cpu().numpy().astype(np.float16)

        return VectorInputs("continuous", self._each("features", f"{self.tokenizer.fingerprint}-features", hear))

    def embedded(self) -> VectorInputs:
        """Return the vectors that the decoder, or a language model, receives for the codes."""
        rows = self.codes().items

        def vectors(codes: Array) -> Array:
            tokens = Tokens.from_codes(torch.from_numpy(codes.astype(np.int64)), self.spec)
            return self.tokenizer.embed(tokens)[0].cpu().numpy().astype(np.float16)

        if "embedded" not in self._kept:
            self._kept["embedded"] = [vectors(codes) for codes in rows]
        return VectorInputs("embed", self._kept["embedded"])

    def untrained(self) -> CodeInputs:
        """Return codes of the tokenizer with its weights in disorder; see `disordered`."""
        name = f"{self.tokenizer.fingerprint}-untrained-{self.num_codebooks}"
        other: list[Tokenizer] = []

        def encode(samples: Tensor, rate: int) -> Array:
            if not other:
                other.append(disordered(self.tokenizer))
            return _codes(other[0].encode(samples, rate, num_codebooks=self.num_codebooks))

        rows = self._each("untrained", name, encode)
        return CodeInputs("untrained_encoder", rows, self.spec.codebook_sizes, self._tables(self.tokenizer))

    def random(self, seed: int = 0) -> CodeInputs:
        """Return codes drawn at random, as many of each clip and from as large codebooks as the tokenizer's."""
        random = np.random.default_rng(seed)
        sizes = np.array(self.spec.codebook_sizes)[:, None]
        rows = [random.integers(0, sizes, row.shape).astype(np.int32) for row in self.codes().items]
        return CodeInputs("random_tokens", rows, self.spec.codebook_sizes, self._tables(self.tokenizer))

    def log_mel(self) -> VectorInputs:
        """Return 80 log-mel energies at 50 frames per second."""
        mel = LogMel(MELS)

        def hear(samples: Tensor, rate: int) -> Array:
            wave = resample(to_channels(samples[None], 1)[0][0], rate, RATE)
            wave = torch.nn.functional.pad(wave, (0, max(0, 4 * SHORTEST - wave.shape[-1])))
            frames = mel(wave)[0]
            return frames[: len(frames) // 2 * 2].unflatten(0, (-1, 2)).mean(dim=1).T.numpy().astype(np.float16)

        return VectorInputs("log_mel", self._each("log-mel", f"log-mel-{MELS}-1", hear))

    def _tables(self, tokenizer: Tokenizer) -> list[Tensor] | None:
        tables = [table.detach().cpu().float() for table in tokenizer.codebooks()[: self.num_codebooks]]
        usable = [len(table) for table in tables] == list(self.spec.codebook_sizes)
        return tables if usable and len({table.shape[1] for table in tables}) == 1 else None


def disordered(tokenizer: Tokenizer, *, seed: int = 0) -> Tokenizer:
    """Return a copy whose weights are the same numbers in another order, tensor by tensor: an untrained encoder.

    Sizes of weights are those of the trained one, which fresh ones need not be; what was learnt is gone.

    Args:
        tokenizer: the trained one, which stays as it is.
        seed: of the order.

    Example:
        >>> trained = Tokenizer.from_pretrained("mini-codec")
        >>> disordered(trained).fingerprint == trained.fingerprint
        False
    """
    other = copy.deepcopy(tokenizer)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in other.parameters():
            order = torch.randperm(weight.numel(), generator=random)
            weight.copy_(weight.flatten()[order.to(weight.device)].view_as(weight))
    return other


def parameter_count(model: nn.Module) -> int:
    """Return how many numbers a model has learnt.

    Example:
        >>> parameter_count(nn.Linear(2, 3))
        9
    """
    return sum(one.numel() for one in model.parameters())


def peak_memory_bytes() -> int:
    """Return the most memory that this process has held.

    Example:
        >>> peak_memory_bytes() > 10_000_000
        True
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _samples(recording: Recording) -> tuple[Tensor, int]:
    return read_audio(recording.path)


def _computed(compute: Callable[[Tensor, int], Array], recording: Recording) -> Array:
    return compute(*_samples(recording))


def _codes(tokens: Tokens) -> Array:
    return tokens.codes[0].cpu().numpy().astype(np.int32)
