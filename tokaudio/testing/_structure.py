"""Laws of shape: lengths, prefixes, codebooks, and the vectors that stand for codes."""

from __future__ import annotations

import torch
from torch import Tensor

from tokaudio.audio.resample import resampled_length
from tokaudio.errors import TokensError
from tokaudio.testing._case import Case
from tokaudio.testing.report import Broken, refused, require, require_same
from tokaudio.tokens import Tokens

_EVERY_LENGTH_TO = 5_000


def _lengths(case: Case) -> list[int]:
    """Return the lengths that go through the networks: all, or those around whole numbers of frames and some more."""
    if case.thorough:
        return list(range(_EVERY_LENGTH_TO + 1))
    hops = range(case.hop, _EVERY_LENGTH_TO + 1, case.hop)
    step = max(1, len(hops) // 5)
    around = [hop + offset for hop in hops[::step] for offset in (-1, 0, 1)]
    return sorted({0, 1, 2, 3, _EVERY_LENGTH_TO, *around, *case.pick(0, _EVERY_LENGTH_TO, 4)})


def lengths(case: Case) -> int:
    """Frames are `spec.num_frames(n)` and decoded samples are n, for short n of every kind and random long ones."""
    spec = case.tokenizer.spec
    for n in range(_EVERY_LENGTH_TO + 1):
        frames = spec.num_frames(n)
        least, most = spec.num_samples_bounds(frames)
        require(least <= n <= most, f"{n} samples have {frames} frames, which hold {least} to {most}")
        covers = max(1, n + spec.least_padding) if n else 0
        fits = (frames - spec.frame_multiple) * case.hop < covers <= frames * case.hop
        require(fits or spec.segments is not None, f"{n}: {frames} frames")
    clip = case.sound(round(60 * case.rate))
    large = case.pick(_EVERY_LENGTH_TO, round((60 if case.thorough else 8) * case.rate), 200 if case.thorough else 2)
    tried = [*_lengths(case), *large]
    for n in tried:
        _length(case, clip[:, :n])
    return _EVERY_LENGTH_TO + 1 + len(tried)


def _length(case: Case, clip: Tensor) -> None:
    n, spec = clip.shape[1], case.tokenizer.spec
    tokens = case.tokenizer.encode(clip)
    shape, wanted = list(tokens.codes.shape), [1, spec.num_codebooks, spec.num_frames(n)]
    require(shape == wanted, f"{n} samples give codes {shape} instead of {wanted}")
    require(tokens.num_samples.tolist() == [n], f"{n} samples are recorded as {tokens.num_samples.tolist()}")
    if not case.tokenizer.decodes:
        return
    sound = case.decode(tokens)
    expected = [1, spec.channels, resampled_length(n, spec.sample_rate, spec.output_sample_rate)]
    require(list(sound.shape) == expected, f"{n} samples decode to {list(sound.shape)} instead of {expected}")


def prefix(case: Case) -> int:
    """The first k codebooks of a full encode equal an encode with k, and decode alike."""
    total, tokenizer = 0, case.tokenizer
    for k in (0, tokenizer.spec.num_codebooks + 1):
        try:
            tokenizer.encode(case.clips[0], num_codebooks=k)
        except ValueError:
            total += 1
        else:
            raise Broken(f"num_codebooks={k} is accepted")
    for k in range(1, tokenizer.spec.num_codebooks + 1):
        tokens = tokenizer.encode(case.clips[2], num_codebooks=k)
        require(tokens.codes.shape[1] == k, f"num_codebooks={k} gives {tokens.codes.shape[1]} codebooks")
        if tokenizer.decodes and k < tokenizer.least_codebooks:
            total += _undecodable(case, tokens)
            continue
        sound = case.decode(tokens)[0]
        require(sound.shape == case.sounds[2].shape, f"{k} codebooks decode to {list(sound.shape)}")
        total += 1
        if case.residual:
            cut = case.tokens[2].select_codebooks(k)
            require_same(tokens.codes, cut.codes, f"codes with num_codebooks={k} and the first {k} of all")
            require_same(case.decode(cut)[0], sound, f"sound of {k} codebooks")
            total += 1
    return total


def _undecodable(case: Case, tokens: Tokens) -> int:
    """Check codebooks that do not suffice to decode: a prefix all the same, and refused."""
    if case.residual:
        cut = case.tokens[2].select_codebooks(tokens.spec.num_codebooks)
        require_same(tokens.codes, cut.codes, f"codes with num_codebooks={tokens.spec.num_codebooks}")
    for way in (case.tokenizer.decode, lambda tokens: list(case.tokenizer.decode_blocks(tokens))):
        with refused(TokensError, "tokens with too few codebooks to decode", naming=case.tokenizer.spec.name):
            way(tokens)
    return 2


def vectors(case: Case) -> int:
    """Codebooks, `embed` and `features` have the shapes they state, are finite, and agree with each other."""
    tokenizer, spec = case.tokenizer, case.tokenizer.spec
    books = tokenizer.codebooks()
    rows = [book.shape[0] for book in books]
    require(rows == list(spec.codebook_sizes), f"codebooks have {rows} rows, the spec says {list(spec.codebook_sizes)}")
    for k, book in enumerate(books):
        require(book.ndim == 2 and bool(torch.isfinite(book).all()), f"codebook {k} is no finite table [V, D]")
    tokens = tokenizer.encode(case.clips[:2])
    for name, found in (("embed", tokenizer.embed(tokens)), ("features", tokenizer.features(case.clips[:2]))):
        shape = list(found.shape)
        fits = found.ndim == 3 and (shape[0], shape[2]) == (len(tokens), tokens.codes.shape[2])
        require(fits, f"{name} has shape {shape} for codes {list(tokens.codes.shape)}")
        require(bool(torch.isfinite(found).all()), f"{name} is not finite")
        require(not bool((found * ~tokens.mask[:, None]).any()), f"{name} is not zero after an item's end")
    if case.residual and len({book.shape[1] for book in books}) == 1:
        total = torch.stack([book[tokens.codes[:, k]] for k, book in enumerate(books)]).sum(0).transpose(1, 2)
        gap = float(((tokenizer.embed(tokens) - total) * tokens.mask[:, None]).abs().max())
        require(gap <= 1e-4 * max(1.0, float(total.abs().max())), f"embed is {gap:.2g} off the sum of the codewords")
    return len(books) + 3
