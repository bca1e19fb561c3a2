"""Joining several `Tokens` in time or as items, and the check that codes and tokenizer belong together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from tokaudio._tokens_base import TokensBase
from tokaudio._tokens_checks import FRAME_PREFIX, ITEM_PREFIX
from tokaudio.errors import TokensError
from tokaudio.spec import TokenizerSpec

Fields = tuple[Tensor, Tensor, Tensor, TokenizerSpec, str, dict[str, Tensor], Tensor | None, dict[str, str]]


def require_timed(extras: Iterable[str]) -> None:
    """Refuse extras whose name does not say what becomes of them when tokens are cut or joined in time."""
    for name in extras:
        if not name.startswith((FRAME_PREFIX, ITEM_PREFIX)):
            raise TokensError(
                f"the extra {name} cannot be cut or joined in time; name it {FRAME_PREFIX}{name} if it has one entry "
                f"per frame, {ITEM_PREFIX}{name} if it describes the whole item, or work on the whole"
            )


def require_cut(spec: TokenizerSpec, start: int, stop: int, total: int) -> None:
    """Refuse to cut `total` frames from `start` to `stop` where that splits a slow code or a segment."""
    if start % spec.cut_period and spec.segments is None:
        raise TokensError(f"a cut at frame {start} splits a slow code; cut at multiples of {spec.cut_period}")
    for place in (start, stop) if spec.segments is not None else ():
        if place % spec.cut_period and place < total:
            raise TokensError(
                f"a cut at frame {place} splits a segment, which is coded as a whole; cut at multiples of "
                f"{spec.cut_period}"
            )


def concatenate(parts: Sequence[TokensBase]) -> Fields:
    """Return the fields of trimmed parts joined in time."""
    first = _require_alike(parts, "concatenate")
    period, hop = first.spec.cut_period, first.spec.hop_length
    for number, part in enumerate(parts):
        if part.codes.shape[0] != first.codes.shape[0]:
            raise TokensError(
                f"part {number} has {part.codes.shape[0]} items and part 0 has {first.codes.shape[0]}; "
                "concatenate parts of the same items"
            )
        require_timed(part.extras)
        if number == len(parts) - 1:
            break
        frames = part.codes.shape[2]
        lengths, samples = part.lengths.tolist(), part.num_samples.tolist()
        wanted = first.spec.frame_start(frames)
        if any(n != frames for n in lengths) or any(n != wanted for n in samples) or frames % period:
            whole = f"whole frames of {hop} samples" + (f", a multiple of {period} of them" if period > 1 else "")
            within = "a frame" if first.spec.segments is None else f"a segment of {period} frames"
            raise TokensError(
                f"part {number} ends within {within}; all parts but the last must hold {whole}: cut them with "
                "frames(), or encode the joined audio"
            )
    depths = _depths(parts)
    extras = {name: _join_extra(name, [part.extras[name] for part in parts]) for name in first.extras}
    return (
        torch.cat([part.codes for part in parts], dim=2),
        torch.stack([part.lengths for part in parts]).sum(dim=0),
        torch.stack([part.num_samples for part in parts]).sum(dim=0),
        first.spec,
        first.fingerprint,
        extras,
        torch.cat(depths, dim=1) if depths else None,
        _common([part.provenance for part in parts]),
    )


def batch(items: Sequence[TokensBase]) -> Fields:
    """Return the fields of trimmed items put together, right-padded with zeros."""
    first = _require_alike(items, "batch")
    depths = _depths(items)
    frames = max(item.codes.shape[2] for item in items)
    extras = {}
    for name in first.extras:
        values = [item.extras[name] for item in items]
        if name.startswith(FRAME_PREFIX):
            values = [_pad(value, 1, frames) for value in values]
        if len({(value.dtype, value.shape[1:]) for value in values}) > 1:
            raise TokensError(f"the extra {name} differs in shape or dtype between items; batch items of one kind")
        extras[name] = torch.cat(values)
    return (
        torch.cat([_pad(item.codes, 2, frames) for item in items]),
        torch.cat([item.lengths for item in items]),
        torch.cat([item.num_samples for item in items]),
        first.spec,
        first.fingerprint,
        extras,
        torch.cat([_pad(depth, 1, frames) for depth in depths]) if depths else None,
        _common([item.provenance for item in items]),
    )


def require_compatible(tokens: TokensBase, spec: TokenizerSpec, fingerprint: str) -> None:
    """Refuse tokens that the tokenizer of `spec` and `fingerprint` did not make."""
    mine, weights = tokens.spec, f" (weights {tokens.fingerprint[:12]})" if tokens.fingerprint else ""
    if mine.name != spec.name:
        raise TokensError(
            f"these tokens were made by {mine.name}{weights}, not by {spec.name}; "
            f"decode them with Tokenizer.from_pretrained({mine.name!r})"
        )
    if tokens.fingerprint and fingerprint and tokens.fingerprint != fingerprint:
        raise TokensError(
            f"these tokens were made by {mine.name}{weights}, not by {spec.name} (weights {fingerprint[:12]}); "
            "decode them with the weights that made them"
        )
    if mine.codebook_indices:
        shown = ", ".join(str(index) for index in mine.codebook_indices)
        raise TokensError(
            f"these tokens hold the codebooks {shown} of {mine.name}; decode its first ones, without gaps"
        )
    facts = (mine.sample_rate, mine.hop_length, mine.segments, mine.codebooks)
    if facts != (spec.sample_rate, spec.hop_length, spec.segments, spec.codebooks[: mine.num_codebooks]):
        raise TokensError(
            f"these tokens were made by another version of {mine.name}, with other rates or codebooks; "
            "decode them with the version that made them"
        )


def _require_alike(parts: Sequence[TokensBase], what: str) -> TokensBase:
    if not parts:
        raise TokensError(f"nothing to {what}; give at least one Tokens")
    first = parts[0]
    for number, part in enumerate(parts):
        if part.spec != first.spec or part.fingerprint != first.fingerprint:
            raise TokensError(
                f"part {number} was made by {part.spec.name} with other codebooks or weights than part 0, made by "
                f"{first.spec.name}; {what} tokens of one tokenizer"
            )
        if part.device != first.device:
            raise TokensError(f"part {number} is on {part.device} and part 0 on {first.device}; move them with to()")
        if part.extras.keys() != first.extras.keys():
            raise TokensError(f"part {number} has other extras than part 0; {what} tokens with the same extras")
    return first


def _join_extra(name: str, values: list[Tensor]) -> Tensor:
    first = values[0]
    joined_dims = 2 if name.startswith(FRAME_PREFIX) else first.ndim
    alike = all(v.dtype == first.dtype and v.shape[joined_dims:] == first.shape[joined_dims:] for v in values)
    if name.startswith(FRAME_PREFIX) and alike:
        return torch.cat(values, dim=1)
    if alike and all(torch.equal(value, first) for value in values):
        return first
    raise TokensError(f"the extra {name} differs between the parts; concatenate parts that share it")


def _depths(parts: Sequence[TokensBase]) -> list[Tensor]:
    """Return each part's depth, full where it has none; empty where no part has one."""
    if all(part.depth is None for part in parts):
        return []
    return [part.mask * part.spec.num_codebooks if part.depth is None else part.depth for part in parts]


def _pad(value: Tensor, dim: int, size: int) -> Tensor:
    missing = size - value.shape[dim]
    if not missing:
        return value
    shape = list(value.shape)
    shape[dim] = missing
    return torch.cat([value, value.new_zeros(shape)], dim=dim)


def _common(provenances: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first, *others = provenances
    return {name: text for name, text in first.items() if all(other.get(name) == text for other in others)}
