"""Variable depth: codebooks go to the frames that need them, at a bitrate that is asked for.

A residual tokenizer spends as many codes on a pause as on a vowel. Here each frame (or each few frames) keeps only its
first codes. How many is decided by what every depth costs and spares: with an error E(t, d) of frame t at depth d and
a price, the depth of least `E + price * bits` is taken, and the price is bisected until the bitrate is met. That is
Lagrangian bit allocation (Shoham and Gersho 1988, "Efficient bit allocation for an arbitrary set of quantizers",
IEEE Trans. ASSP 36(9), section III). Variable depth per frame of a residual codec is also in VRVQ (arXiv:2410.06016).

The depth itself has to be told, and is counted: as a plain number from 0 to K for every `hold` frames.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

import torch
from torch import Tensor

from tokaudio.audio.mel import mel_filterbank
from tokaudio.errors import TokensError, one_line
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokens import Tokens

Judge = Literal["sound", "vectors"]

_STEPS = 60


def allocate_depth(
    tokenizer: Tokenizer,
    tokens: Tokens,
    *,
    bitrate_kbps: float | None = None,
    mean_codebooks: float | None = None,
    audio: Any = None,
    sample_rate: int | None = None,
    judge: Judge | Tensor = "sound",
    hold: int = 2,
    least: int | None = None,
    importance: Tensor | None = None,
) -> Tokens:
    """Return tokens in which every frame has as many codebooks as pay off, at a mean rate.

    Codes beyond a frame's depth are 0 and do not count; `Tokens.code_mask` says which do.

    Args:
        tokenizer: that made the tokens; a residual one, whose first codebooks decode alone.
        tokens: with all codebooks that may be used, without a depth.
        bitrate_kbps: over all items, at most, with the bits that tell the depth; or give `mean_codebooks`.
        mean_codebooks: per frame over all items, at most, without the bits that tell the depth.
        audio: what the tokens were encoded from, in the same form as for `encode`; None where it is gone: what all
            codebooks decode to then takes its place.
        sample_rate: of the audio in Hz, as for `encode`.
        judge: what an error is: `"sound"`, the log-mel distance after decoding at every depth (K decodings); or
            `"vectors"`, the squared distance to the vectors of all codebooks, which decodes nothing; or errors of
            your own, `[B, D, T]` for the depths from `least` to K, as `sound_errors` gives them.
        hold: frames that share one depth, from the start of an item on.
        least: fewest codebooks of a frame; None for the fewest that the tokenizer decodes.
        importance: weights `[B, T]` of the frames' errors; None for 1.

    Raises:
        TokensError: if the tokens are not the tokenizer's, have a depth already, or the rate cannot be met.
        ValueError: if not exactly one rate is given, or an argument is out of range.

    Example:
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> tokens = codec.encode(torch.randn(8_000, generator=torch.Generator().manual_seed(0)))
        >>> allocate_depth(codec, tokens, bitrate_kbps=2.0).bitrate_kbps <= 2.0
        True
    """
    least = tokenizer.least_codebooks if least is None else least
    _require(tokenizer, tokens, (bitrate_kbps, mean_codebooks), hold, least)
    if isinstance(judge, Tensor):
        errors = judge
        shape = [len(tokens), tokens.spec.num_codebooks - least + 1, tokens.codes.shape[2]]
        if list(errors.shape) != shape:
            raise ValueError(f"the errors must have shape {shape}, got {list(errors.shape)}")
    elif judge == "vectors":
        errors = vector_errors(tokenizer, tokens, least=least)
    elif judge == "sound":
        errors = sound_errors(tokenizer, tokens, audio, sample_rate, least=least)
    else:
        raise ValueError(f"judge must be 'sound' or 'vectors', got {judge!r}")
    if importance is not None:
        if importance.shape != tokens.mask.shape:
            raise ValueError(f"importance must have shape {list(tokens.mask.shape)}, got {list(importance.shape)}")
        errors = errors * importance.to(errors)[:, None]
    hold = math.lcm(hold, tokens.spec.stride_period)
    books = tokens.spec.codebooks
    if mean_codebooks is not None:
        costs, budget = torch.ones(len(books), dtype=torch.float64).cumsum(0), mean_codebooks
    else:
        assert bitrate_kbps is not None
        costs = torch.tensor([book.bits / book.stride for book in books], dtype=torch.float64).cumsum(0)
        told = sum(-(-n // hold) for n in tokens.lengths.tolist()) * math.log2(len(books) + 1)
        budget = bitrate_kbps * 1000 / float(tokens.spec.frame_rate) - told / max(1, int(tokens.lengths.sum()))
    depth = cheapest_depths(errors, costs[least - 1 :], tokens.mask, budget=budget, hold=hold)
    if depth is None:
        remedy = "ask for a higher rate, or hold a depth for longer"
        raise TokensError(one_line(tokenizer.spec.name, f"the rate is below that of {least} codebook(s)", remedy))
    return dataclasses.replace(tokens, depth=depth + (least - 1) * tokens.mask)


def cheapest_depths(errors: Tensor, costs: Tensor, mask: Tensor, *, budget: float, hold: int = 1) -> Tensor | None:
    """Return for each frame how many of the depths to go down, `[B, T]` from 1, at a mean cost of at most `budget`.

    Args:
        errors: of every frame at every depth, `[B, D, T]`.
        costs: of every depth, increasing, `[D]`.
        mask: which frames there are, `[B, T]`; the others get 0.
        budget: greatest mean cost of a frame.
        hold: frames that share one depth.

    Returns:
        None where even the first depth everywhere costs more.

    Example:
        >>> errors = torch.tensor([[[9.0, 1.0], [1.0, 1.0]]])
        >>> cheapest_depths(errors, torch.tensor([1.0, 2.0]), torch.ones(1, 2, dtype=torch.bool), budget=1.5).tolist()
        [[2, 1]]
    """
    errors = errors.double().cpu() * mask.cpu()[:, None]
    blocks, frames = -(-mask.shape[1] // hold), mask.shape[1]
    short = blocks * hold - frames
    held = torch.nn.functional.pad(errors, (0, short)).unflatten(2, (blocks, hold)).sum(3)
    weight = torch.nn.functional.pad(mask.cpu().double(), (0, short)).unflatten(1, (blocks, hold)).sum(2)
    prices = costs.double().cpu()[None, :, None] * weight[:, None]
    total = max(1.0, float(weight.sum()))

    def choose(price: float) -> tuple[Tensor, float]:
        choice = (held + price * prices).argmin(dim=1)
        return choice, float(prices.gather(1, choice[:, None]).sum()) / total

    if float(costs[0]) > budget + 1e-9:
        return None
    choice, spent = choose(0.0)
    if spent > budget:
        # No error is worth more than all of it for the cheapest step down.
        steps = costs.double().diff()
        low, high = 0.0, 2 * float(held.abs().sum()) / float(steps.min()) + 1.0
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if choose(middle)[1] > budget else (low, middle)
        choice, _ = choose(high)
    depth = (choice + 1).repeat_interleave(hold, dim=1)[:, :frames]
    return (depth * mask.cpu()).to(mask.device)


def vector_errors(tokenizer: Tokenizer, tokens: Tokens, *, least: int = 1) -> Tensor:
    """Return the squared distance `[B, D, T]` of every depth's vectors to those of all codebooks.

    Example:
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> vector_errors(codec, codec.encode(torch.zeros(640))).shape
        torch.Size([1, 8, 2])
    """
    whole = tokenizer.embed(tokens)
    depths = range(least, tokens.spec.num_codebooks + 1)
    return torch.stack([(tokenizer.embed(tokens.select_codebooks(d)) - whole).square().sum(1) for d in depths], dim=1)


def sound_errors(
    tokenizer: Tokenizer, tokens: Tokens, audio: Any = None, sample_rate: int | None = None, *, least: int = 1
) -> Tensor:
    """Return the log-mel distance `[B, D, T]` of every depth's sound to the audio, or to the sound of all codebooks.

    Example:
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> sound_errors(codec, codec.encode(torch.zeros(640))).shape
        torch.Size([1, 8, 2])
    """
    rate, books = tokenizer.spec.output_sample_rate, tokens.spec.num_codebooks
    if audio is None:
        targets = [sound.mean(0) for sound in tokenizer.decode(tokens)]
    else:
        items, _ = tokenizer._items(audio, sample_rate, None)
        if [item.shape[1] for item in items] != tokens.num_samples.tolist() or rate != tokenizer.spec.sample_rate:
            problem = "the audio is not what the tokens were encoded from, or is decoded at another rate"
            raise TokensError(one_line(tokenizer.spec.name, problem, "leave audio out"))
        targets = [item.mean(0) for item in items]
    frames, hop = tokens.codes.shape[2], tokenizer.spec.hop_length * rate // tokenizer.spec.sample_rate
    wanted = [_log_mel(sound, rate, frames, hop) for sound in targets]
    columns = []
    for depth in range(least, books + 1):
        sounds = tokenizer.decode(tokens.select_codebooks(depth))
        found = [_log_mel(sound.mean(0), rate, frames, hop) for sound in sounds]
        rows = [(f - w).abs().mean(1) for f, w in zip(found, wanted, strict=True)]
        columns.append(torch.stack(rows))
    return torch.stack(columns, dim=1)


def _log_mel(sound: Tensor, rate: int, frames: int, hop: int, *, floor: float = 3e-5) -> Tensor:
    """Return log10 mel magnitudes `[T, M]` around the middle of every frame, over 64 ms, nothing below -90 dB."""
    size = 2 ** round(math.log2(0.064 * rate))
    # Three windows per frame, a third of a hop apart, are averaged: where a window lies shall not matter.
    padded = torch.nn.functional.pad(sound.cpu().float(), (size // 2, size // 2 + (frames + 1) * hop))
    window = torch.hann_window(size)
    filters = torch.tensor(mel_filterbank(rate, size, 80, widen=True), dtype=torch.float32)
    logs = []
    for offset in (hop // 6, hop // 2, hop - hop // 6):
        pieces = padded[offset:].unfold(0, size, hop)[:frames]
        mel = torch.fft.rfft(pieces * (window / window.sum())).abs() @ filters.T
        logs.append(mel.clamp_min(floor).log10())
    return torch.cat(logs, dim=1)


def _require(
    tokenizer: Tokenizer, tokens: Tokens, rates: tuple[float | None, float | None], hold: int, least: int
) -> None:
    tokens.require_compatible(tokenizer.spec, tokenizer.fingerprint)
    if (rates[0] is None) == (rates[1] is None):
        raise ValueError("give either bitrate_kbps or mean_codebooks")
    if hold < 1 or not 1 <= least <= tokens.spec.num_codebooks:
        raise ValueError(
            f"hold must be at least 1 and least from 1 to {tokens.spec.num_codebooks}, got {hold}, {least}"
        )
    if not tokenizer.takes_depth:
        raise TokensError(one_line(tokenizer.spec.name, "decodes no variable depth", "keep all codebooks"))
    if tokens.depth is not None:
        raise TokensError(one_line(tokenizer.spec.name, "the tokens have a depth", "give them with all codes"))
