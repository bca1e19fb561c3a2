"""Tokenizing as a function that can be sent anywhere: a dictionary of arrays in, a dictionary of arrays out.

    tokenize = TokenizeBatch("mini-codec")
    dataset.map(tokenize, batched=True, remove_columns=["audio"])      # datasets
    dataset.map_batches(tokenize)                                      # Ray Data
    tokenize({"path": ["a.wav", "b.wav"]})                             # a plain loop

It holds names and options only, travels in a few hundred bytes, and loads the tokenizer once in each process that
calls it. An item's codes are the same ones whatever else is in its batch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tokaudio.errors import AudioError, TokaudioError, describe, is_out_of_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tokaudio.storage.rows import TokenRow
    from tokaudio.tokenizers import Tokenizer
    from tokaudio.tokens import Tokens

_PADDING = 1.25
_loaded: dict[tuple[str, tuple[int, ...] | None, str], Tokenizer] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class TokenizeBatch:
    """Turns batches of sound into codes.

    Args:
        tokenizer: a name, folder or repository that `Tokenizer.from_pretrained` takes.
        num_codebooks: use only the first so many.
        layers: only these layers of a speech model.
        device: `cpu`, `cuda`, `cuda:N`, `mps`, or `auto` for CUDA where there is any.
        batch_seconds: of sound, padding included, that the model is given at once.
        allow_truncated: take what is there of a cut-off file.
        errors: `record` puts what is wrong with an item into the column `error`; `raise` raises it.

    Example:
        >>> out = TokenizeBatch("mini-codec")({"audio": [np.zeros(16_000, np.float32)], "sample_rate": [16_000]})
        >>> out["codes"][0].shape, int(out["num_samples"][0]), out["error"]
        ((8, 50), 16000, [None])
    """

    tokenizer: str = "mini-codec"
    num_codebooks: int | None = None
    layers: tuple[int, ...] | None = None
    device: str = "cpu"
    batch_seconds: float = 60.0
    allow_truncated: bool = False
    errors: Literal["record", "raise"] = "record"

    def load(self) -> Tokenizer:
        """Return the tokenizer, loaded on the first call in this process.

        Raises:
            UnknownNameError: if nothing of this name exists.
            CheckpointError: if its files are damaged, or it has no such layers.
            HubError: if it is not here and cannot be fetched.
        """
        key = (self.tokenizer, self.layers, self.device)
        with _lock:
            if key not in _loaded:
                _loaded[key] = _load(*key)
            return _loaded[key]

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        """Return the codes of a batch.

        Args:
            batch: either `audio`, items as `as_audio` takes them or as `datasets` decodes them (`array` and
                `sampling_rate`), with their rates in Hz in `sample_rate` unless they are the tokenizer's; or `path`,
                with `start` and `end` in seconds if need be. Other columns pass through.

        Returns:
            All columns besides `audio`; and `codes` (uint16 or int32 [K, T] per item), `num_frames`, `num_samples` and
            `error` (None where all is well), besides `depth` and `extra_...` of tokenizers that have any.

        Raises:
            AudioError: if there is neither `audio` nor `path`; or for an item, with `errors="raise"`.
        """
        tokenizer = self.load()
        if "audio" in batch:
            clips = [self._clip(item, rate) for item, rate in zip(batch["audio"], _rates(batch), strict=True)]
        elif "path" in batch:
            clips = [self._read(*place) for place in _places(batch)]
        else:
            raise AudioError("a batch has no column audio and no path; give either")
        rows = [_row(item) for item in self.tokens(clips)]
        if self.errors == "raise" and (wrong := [row for row in rows if isinstance(row, Exception)]):
            raise wrong[0]
        passed = {name: values for name, values in batch.items() if name != "audio"}
        empty = np.zeros((self.num_codebooks or tokenizer.spec.num_codebooks, 0), np.uint16)
        return passed | _columns(rows, empty)

    def tokens(self, clips: Sequence[NDArray[np.float32] | Exception]) -> list[Tokens | Exception]:
        """Return the tokens of clips `[C, S]` at the tokenizer's rate and channels, each on the CPU, or what is wrong.

        Clips of similar length go to the model together. Where its memory does not suffice, a batch is halved, down to
        the single clip that is too long. Clips that are errors stay what they are.
        """
        results: list[Tokens | Exception] = [clip if isinstance(clip, Exception) else _NONE for clip in clips]
        sound = {index: clip for index, clip in enumerate(clips) if not isinstance(clip, Exception)}
        rate = self.load().spec.sample_rate
        for bucket in length_buckets({i: clip.shape[1] for i, clip in sound.items()}, int(self.batch_seconds * rate)):
            for index, result in zip(bucket, self._encode([sound[i] for i in bucket]), strict=True):
                results[index] = result
        return results

    def _encode(self, clips: list[NDArray[np.float32]]) -> list[Tokens | Exception]:
        import torch

        tokenizer = self.load()
        try:
            tokens = tokenizer.encode([torch.from_numpy(clip) for clip in clips], num_codebooks=self.num_codebooks)
            return [tokens[i].trim().to("cpu") for i in range(len(clips))]
        except Exception as error:
            if len(clips) == 1:
                return [error.with_traceback(None)]
            full = is_out_of_memory(error)
        if full and tokenizer.device.type == "cuda":
            torch.cuda.empty_cache()
        half = (len(clips) + 1) // 2
        parts = [clips[:half], clips[half:]] if full else [[clip] for clip in clips]
        return [result for part in parts for result in self._encode(part)]

    def _clip(self, item: Any, rate: int | None) -> NDArray[np.float32] | Exception:
        from tokaudio.tokenizers.clips import split_clips

        if isinstance(item, Mapping):
            item, rate = item["array"], int(item["sampling_rate"])
        try:
            clips, _ = split_clips(item, rate, None, self.load().spec)
        except TokaudioError as error:
            return error
        sound: NDArray[np.float32] = clips[0].numpy()
        return sound if sound.shape[1] else AudioError("an item holds no samples; leave it out")

    def _read(self, path: str, start: float | None, end: float | None) -> NDArray[np.float32] | Exception:
        from tokaudio.corpus.reading import read_clip

        spec = self.load().spec
        try:
            clip = read_clip(path, spec, start=start, end=end, allow_truncated=self.allow_truncated)
        except (TokaudioError, OSError) as error:
            return error
        assert clip is not None
        return clip


class _None(Exception):
    pass


_NONE = _None()


def length_buckets(lengths: Mapping[int, int], budget: int) -> list[list[int]]:
    """Return items in groups of similar length, the longest first.

    A group's items fit into the budget when padded to its longest, and padding adds a quarter at most; an item that
    is longer than the budget is alone.

    Args:
        lengths: samples of each item, by its number.
        budget: samples of a group.

    Example:
        >>> length_buckets({0: 10, 1: 100, 2: 95, 3: 9}, 200)
        [[1, 2], [0, 3]]
    """
    buckets: list[list[int]] = []
    longest = 0
    for index in sorted(lengths, key=lambda index: (-lengths[index], index)):
        fits = buckets and (len(buckets[-1]) + 1) * longest <= budget and longest <= _PADDING * lengths[index]
        if fits:
            buckets[-1].append(index)
        else:
            buckets.append([index])
            longest = lengths[index]
    return buckets


def _load(name: str, layers: tuple[int, ...] | None, device: str) -> Tokenizer:
    import torch

    from tokaudio.errors import CheckpointError, MissingDependencyError, one_line
    from tokaudio.tokenizers import Tokenizer
    from tokaudio.tokenizers.semantic import SemanticTokenizer

    tokenizer = Tokenizer.from_pretrained(name)
    if layers is not None:
        if not isinstance(tokenizer, SemanticTokenizer):
            raise CheckpointError(one_line(name, "has no layers to choose", "leave layers out"))
        tokenizer = tokenizer.keep_layers(layers)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return tokenizer.to(device)
    except (RuntimeError, AssertionError) as error:
        # torch says in many ways that it knows no such device, or finds none.
        problem = f"cannot be used here ({str(error).splitlines()[0]:.100})"
        raise MissingDependencyError(one_line(f"device {device}", problem, "use auto or cpu")) from error


def _rates(batch: Mapping[str, Sequence[Any]]) -> list[int | None]:
    given = batch.get("sample_rate", batch.get("sampling_rate"))
    return [None] * len(batch["audio"]) if given is None else [int(rate) for rate in given]


def _places(batch: Mapping[str, Sequence[Any]]) -> list[tuple[str, float | None, float | None]]:
    none = [None] * len(batch["path"])
    times = [[_time(t) for t in batch.get(name, none)] for name in ("start", "end")]
    return [(str(path), start, end) for path, start, end in zip(batch["path"], *times, strict=True)]


def _time(value: Any) -> float | None:
    return None if value is None or np.isnan(value) else float(value)


def _row(item: Tokens | Exception) -> TokenRow | Exception:
    if isinstance(item, Exception):
        return item
    from tokaudio.storage.rows import TokenRow

    return TokenRow.from_tokens(item, "row")


def _columns(rows: Sequence[TokenRow | Exception], empty: NDArray[Any]) -> dict[str, Any]:
    good = [row for row in rows if not isinstance(row, Exception)]

    def column(value: Callable[[TokenRow], Any], missing: Any) -> list[Any]:
        return [missing if isinstance(row, Exception) else value(row) for row in rows]

    if good:
        empty = empty.astype(good[0].codes.dtype)
    columns: dict[str, Any] = {
        "codes": column(lambda row: row.codes, empty),
        "num_frames": np.array(column(lambda row: row.num_frames, 0), np.int64),
        "num_samples": np.array(column(lambda row: row.num_samples, 0), np.int64),
        "error": [describe(row) if isinstance(row, Exception) else None for row in rows],
    }
    if good and good[0].depth is not None:
        columns["depth"] = column(lambda row: row.depth, np.zeros(0, np.uint16))
    for name in good[0].extras if good else ():
        columns[f"extra_{name}"] = column(lambda row, name=name: row.extras[name], None)  # type: ignore[misc]
    return columns
