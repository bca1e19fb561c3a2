"""Encoding and decoding one file, in memory that does not grow with its length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tokaudio.errors import AudioError, one_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tokaudio.audio import AudioReader
    from tokaudio.storage import TokenSpool
    from tokaudio.tokenizers import Tokenizer
    from tokaudio.tokens import Tokens

Tick = Callable[[float, float], None]


def encode_audio(
    tokenizer: Tokenizer, path: str, *, num_codebooks: int | None, allow_truncated: bool, tick: Tick
) -> tuple[TokenSpool, bool]:
    """Return the tokens of a file, ready to be written, and whether it was cut off.

    Args:
        tokenizer: that encodes.
        path: of the audio file.
        num_codebooks: use only the first so many.
        allow_truncated: take what is there of a cut-off file.
        tick: is told seconds of audio as they are read, and the part of the file that is done, from 0 to 1.

    Raises:
        AudioError: if the file cannot be used, or holds no samples.
    """
    from tokaudio.audio import AudioReader
    from tokaudio.storage.spool import TokenSpool

    spool = TokenSpool()
    with AudioReader(path, allow_truncated=allow_truncated) as reader:
        counted = _Counted(reader, tick)
        for piece in tokenizer.encode_pieces(counted.blocks(), reader.sample_rate, num_codebooks=num_codebooks):
            spool.add(piece)
        if counted.samples == 0:
            raise AudioError(one_line(path, "holds no samples", "record or export it again"))
        facts = {
            "source_sample_rate": str(reader.sample_rate),
            "source_channels": str(reader.channels),
            "source_num_samples": str(counted.samples),
        }
        if reader.truncated:
            facts["source_truncated"] = "yes"
        spool.provenance = {**spool.provenance, **facts}
        return spool, reader.truncated


class _Counted:
    """The blocks of a reader, counted as they pass."""

    def __init__(self, reader: AudioReader, tick: Tick) -> None:
        self._reader, self._tick = reader, tick
        self.samples = 0

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        total = self._reader.declared_frames
        for block in self._reader.blocks():
            self.samples += block.shape[1]
            yield block
            self._tick(block.shape[1] / self._reader.sample_rate, self.samples / total if total else 0.0)


def decode_tokens(tokenizer: Tokenizer, tokens: Tokens, path: str, *, force: bool, tick: Tick) -> int:
    """Write the sound of tokens to a file, and return how many samples were clipped.

    Args:
        tokenizer: that made the tokens.
        tokens: of one item.
        path: of the audio file; its suffix picks the format.
        force: whether it may be replaced.
        tick: as in `encode_audio`.

    Raises:
        TokensError: if the tokens are another tokenizer's.
        OutputError: if the file cannot be written.
    """
    from tokaudio.audio import AudioWriter

    rate, total = tokenizer.spec.output_sample_rate, tokenizer.spec.decoded_length(int(tokens.num_samples[0]))
    tokens.require_compatible(tokenizer.spec, tokenizer.fingerprint)
    with AudioWriter(path, rate, tokenizer.spec.channels, overwrite=force) as writer:
        for block in tokenizer.decode_blocks(tokens):
            writer.write(block)
            tick(block.shape[1] / rate, writer.frames / total)
    return writer.clipped


def facts_of(item: Tokens | TokenSpool, frames: int) -> dict[str, Any]:
    """Return what a report says about one item's tokens."""
    spec = item.spec
    assert spec is not None
    return {
        "tokenizer": spec.name,
        "codebooks": spec.num_codebooks,
        "frames": frames,
        "num_samples": int(item.num_samples),
        "bitrate_kbps": spec.bitrate_kbps,
    }
