"""Laws of pieces: sound and codes that arrive bit by bit give what the whole gives, to the last bit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from tokaudio.errors import TokensError
from tokaudio.testing._case import Case
from tokaudio.testing.report import refused, require_same
from tokaudio.tokenizers.pieces import item_extras
from tokaudio.tokenizers.streams import Stream
from tokaudio.tokens import Tokens


def _applies(case: Case) -> bool:
    return case.tokenizer.spec.chunking != "none"


def _sizes(total: int, size: int) -> list[int]:
    return [min(size, total - start) for start in range(0, total, size)]


def _run(stream: Stream, whole: Tensor, sizes: Iterable[int], tokens: Tokens | None = None) -> Tensor:
    """Push `whole` `[C, n]` in pieces and return all that comes out; `tokens` have the side information of codes."""
    results, start = [], 0
    for size in sizes:
        if tokens is not None:
            stream.extras = item_extras(tokens, slice(start, start + size), whole.device)
        results.append(stream.push(whole[:, start : start + size]))
        start += size
    return torch.cat([*results, stream.flush()], dim=1)


def _cuts(case: Case, total: int, fixed: Sequence[int]) -> list[tuple[str, list[int]]]:
    cuts = [(f"pieces of {size}", _sizes(total, size)) for size in fixed]
    return cuts + [
        (f"random pieces {number}", case.pieces(total, seed=1000 + 10 * number))
        for number in range(50 if case.thorough else 3)
    ]


def encode_pieces(case: Case) -> int:
    """Streaming encode equals whole encode: pieces of 1 sample, odd sizes, 10 ms, 1 s, random cuts."""
    if not _applies(case):
        return 0
    total = 0
    for number, fixed in (
        (0, (1, 7, case.hop - 1, case.hop + 1)),
        (2, (max(1, case.rate // 100), 1009)),
        (3, (case.rate,)),
    ):
        clip, wanted = case.clips[number], case.tokens[number].codes[0]
        for name, sizes in _cuts(case, clip.shape[1], [size for size in fixed if size > 0]):
            got = _run(case.tokenizer.streaming().encoder, clip, sizes)
            require_same(got, wanted, f"codes of clip {number} in {name}")
            total += 1
    return total


def encode_blocks(case: Case) -> int:
    """`encode_blocks` equals `encode`."""
    if not _applies(case):
        return 0
    for number, (clip, tokens) in enumerate(zip(case.clips, case.tokens, strict=True)):
        sizes = case.pieces(clip.shape[1], seed=2000 + number)
        got = case.tokenizer.encode_blocks(clip.split(sizes, dim=1), case.rate)
        require_same(got.codes, tokens.codes, f"codes of clip {number} by encode_blocks")
        require_same(got.num_samples, tokens.num_samples, f"num_samples of clip {number} by encode_blocks")
    return len(case.clips)


def decode_pieces(case: Case) -> int:
    """Streaming decode equals whole decode."""
    if not _applies(case) or not case.tokenizer.decodes:
        return 0
    total = 0
    for number, fixed in ((0, (1,)), (2, (13, 50)), (3, (37,))):
        tokens, wanted = case.tokens[number], case.sounds[number]
        for name, sizes in _cuts(case, tokens.codes.shape[2], fixed):
            got = _run(case.tokenizer.streaming().decoder, tokens.codes[0], sizes, tokens)
            require_same(got[:, : wanted.shape[1]], wanted, f"sound of clip {number} from {name}")
            total += 1
    return total


def decode_blocks(case: Case) -> int:
    """`decode_blocks` equals `decode`; a tokenizer that encodes only refuses both, and its stream's decoder too."""
    tokenizer, first = case.tokenizer, case.tokens[0]
    if not tokenizer.decodes:
        decoder = tokenizer.streaming().decoder
        ways = (tokenizer.decode, lambda tokens: list(tokenizer.decode_blocks(tokens)))
        for way in (*ways, lambda tokens: decoder.push(tokens.codes[0]), lambda _: decoder.flush()):
            with refused(TokensError, "decoding without a decoder", naming=tokenizer.spec.name):
                way(first)
        return len(ways) + 2
    if not _applies(case):
        return 0
    for number, (tokens, wanted) in enumerate(zip(case.tokens, case.sounds, strict=True)):
        block = case.pick(1, tokens.codes.shape[2] + 1, 1, seed=3000 + number)[0]
        got = torch.cat(list(case.tokenizer.decode_blocks(tokens, block_frames=block)), dim=1)
        require_same(got, wanted, f"sound of clip {number} by decode_blocks of {block} frames")
    return len(case.tokens)


def interleaved(case: Case) -> int:
    """Two streams that run side by side do not mix."""
    if not _applies(case):
        return 0
    first, second = (case.tokenizer.streaming().encoder for _ in range(2))
    done: tuple[list[Tensor], list[Tensor]] = ([], [])
    pairs = zip(case.clips[1].split(1777, dim=1), case.clips[2].split(1777, dim=1), strict=False)
    pushed = 0
    for one, two in pairs:
        done[0].append(first.push(one))
        done[1].append(second.push(two))
        pushed += two.shape[1]
    rest = case.clips[2][:, pushed:]
    one_codes = torch.cat([*done[0], first.flush()], dim=1)
    two_codes = torch.cat([*done[1], second.push(rest), second.flush()], dim=1)
    require_same(one_codes, case.tokens[1].codes[0], "codes of the first of two interleaved streams")
    require_same(two_codes, case.tokens[2].codes[0], "codes of the second of two interleaved streams")
    return 2
