"""Laws of safety: modes that must not matter, weights and tokens that must be refused, sounds that are no speech."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from tokaudio.errors import AudioError, CheckpointError, TokaudioError, TokensError
from tokaudio.testing._case import Case
from tokaudio.testing.report import refused, require, require_same, require_unchanged, snapshot
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokenizers.pieces import item_extras


@contextmanager
def _training(tokenizer: Tokenizer) -> Iterator[None]:
    before = tokenizer.training
    tokenizer.train()
    try:
        yield
    finally:
        tokenizer.train(before)


@contextmanager
def _global(get: Callable[[], object], put: Callable[[object], None], value: object) -> Iterator[None]:
    before = get()
    put(value)
    try:
        yield
    finally:
        put(before)


@contextmanager
def _mode(name: str, tokenizer: Tokenizer) -> Iterator[None]:
    precision = torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
    default = torch.get_default_dtype, torch.set_default_dtype
    contexts: dict[str, Callable[[], AbstractContextManager[object]]] = {
        "train mode": lambda: _training(tokenizer),
        "bfloat16 autocast": lambda: torch.autocast(tokenizer.device.type, dtype=torch.bfloat16),
        "grad mode": torch.enable_grad,
        "medium matmul precision": lambda: _global(*precision, "medium"),  # type: ignore[arg-type]
        "float64 by default": lambda: _global(*default, torch.float64),  # type: ignore[arg-type]
    }
    with contexts[name]():
        yield


def modes(case: Case) -> int:
    """Train mode, autocast, grad mode and global precision change no code, no sound and no weight."""
    tokenizer, clip, tokens = case.tokenizer, case.clips[1], case.tokens[1]
    wanted, before, total = case.sounds[1], snapshot(case.tokenizer), 0
    for name in ("train mode", "bfloat16 autocast", "grad mode", "medium matmul precision", "float64 by default"):
        with _mode(name, tokenizer):
            samples = clip.clone().requires_grad_(name == "grad mode")
            require_same(tokenizer.encode(samples).codes, tokens.codes, f"codes in {name}")
            sound = case.decode(tokens)[0]
            require_same(sound, wanted, f"sound in {name}")
            require(not sound.requires_grad, f"decode tracks gradients in {name}")
            if tokenizer.spec.chunking != "none":
                stream = tokenizer.streaming()
                codes = torch.cat([stream.encoder.push(clip), stream.encoder.flush()], dim=1)
                require_same(codes, tokens.codes[0], f"streamed codes in {name}")
                if tokenizer.decodes:
                    stream.decoder.extras = item_extras(tokens, slice(None), codes.device)
                    pieces = torch.cat([stream.decoder.push(codes), stream.decoder.flush()], dim=1)
                    require_same(pieces[:, : wanted.shape[1]], wanted, f"streamed sound in {name}")
        require_unchanged(tokenizer, before, f"encoding in {name}")
        total += 1
    return total


def precisions(case: Case) -> int:
    """Weights of another type are refused, or give the same codes."""
    for dtype in (torch.float16, torch.bfloat16):
        other = copy.deepcopy(case.tokenizer).to(dtype)
        try:
            codes = other.encode(case.clips[0]).codes
        except TokaudioError:
            continue
        require_same(codes, case.tokens[0].codes, f"codes with {dtype} weights, which were not refused")
    return 2


def damaged_weights(case: Case) -> int:
    """A NaN or an Inf in any kind of tensor is refused at load, by the tensor's name."""
    from safetensors.torch import load, save_file

    folder = case.tokenizer.save_pretrained(case.folder / "damaged")
    sizes, total = set(case.tokenizer.spec.codebook_sizes), 0
    # One file, or one for each part of a fused tokenizer.
    for path in sorted(folder.rglob("model.safetensors")):
        content = path.read_bytes()
        intact = load(content)  # of their own: older safetensors maps the file, which is about to change
        tables = [name for name, value in intact.items() if value.ndim == 2 and value.shape[0] in sizes]
        names = sorted({min(intact), max(intact), *tables[:1], *tables[-1:]})
        for name in names:
            for value in (torch.nan, torch.inf):
                poisoned = intact[name].clone()
                poisoned.view(-1)[-1] = value
                save_file(intact | {name: poisoned}, path, metadata={"format": "pt"})
                with refused(CheckpointError, f"a {value} in {name}", naming=name):
                    type(case.tokenizer).from_pretrained(folder)
        path.write_bytes(content)
        total += 2 * len(names)
    return total


def foreign_tokens(case: Case) -> int:
    """Tokens of another tokenizer, or of other weights, are refused."""
    tokenizer, tokens = case.tokenizer, case.tokens[0]
    named = replace(tokens, spec=replace(tokens.spec, name="another-tokenizer"))
    weighed = replace(tokens, fingerprint="f" * len(tokens.fingerprint))
    for method in (tokenizer.decode, tokenizer.embed, lambda foreign: list(tokenizer.decode_blocks(foreign))):
        with refused(TokensError, "tokens of another tokenizer", naming="another-tokenizer"):
            method(named)
        with refused(TokensError, "tokens of other weights", naming=weighed.fingerprint[:8]):
            method(weighed)
    return 6


def bad_input(case: Case) -> int:
    """Non-finite samples and codes out of range are refused, on every way in."""
    tokenizer, total = case.tokenizer, 0
    for value in (torch.nan, torch.inf, -torch.inf):
        clip = case.clips[0].clone()
        clip[0, 100] = value
        with refused(AudioError, f"a {value} sample"):
            tokenizer.encode(clip)
        with refused(AudioError, f"a {value} sample in blocks"):
            tokenizer.encode_blocks([clip], case.rate)
        total += 2
        if tokenizer.spec.chunking != "none":
            with refused(AudioError, f"a {value} sample in a stream"):
                tokenizer.streaming().encoder.push(clip)
            total += 1
    if tokenizer.spec.chunking != "none" and tokenizer.decodes:
        for code in (-2, -1, tokenizer.spec.codebook_sizes[0]):
            codes = case.tokens[0].codes[0].clone()
            codes[0, 3] = code
            decoder = tokenizer.streaming().decoder
            decoder.extras = item_extras(case.tokens[0], slice(None), codes.device)
            with refused(TokensError, f"code {code} in a stream"):
                decoder.push(codes)
            total += 1
    return total


def hard_sounds(case: Case) -> int:
    """Silence, DC, clipping, an impulse and denormals give valid codes and finite sound."""
    n, channels = 3 * case.hop + 7, case.tokenizer.spec.channels
    impulse = torch.zeros(channels, n)
    impulse[:, n // 2] = 1.0
    sounds: dict[str, Tensor] = {
        "silence": torch.zeros(channels, n),
        "DC": torch.full((channels, n), 0.5),
        "clipping": case.sound(n).sign(),
        "an impulse": impulse,
        "denormals": torch.full((channels, n), 1e-40),
    }
    for name, clip in sounds.items():
        tokens = case.tokenizer.encode(clip)
        require(bool(torch.isfinite(case.decode(tokens)).all()), f"{name} decodes to non-finite sound")
    return len(sounds)
