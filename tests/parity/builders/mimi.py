"""Mimi (arXiv:2410.00037): the port in transformers, and the authors' own package, moshi.

Layouts: `transformers` (model.safetensors, config.json) of the port; `moshi` (one safetensors file without
configuration, under the release's name) and `moshi-2024` (the names that moshi's first version wrote) of the package.
Layer scales start at 0.01, which would hide the transformers: they are set to a tenth and more.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.parity.compare import Level, ResidualLookup
from tests.parity.filling import calibrate, effective_weight, scatter
from tests.parity.peer import Peer, PeerCodes, PeerFacts
from tests.parity.signals import recording, signals

RELEASE_FILE = "tokenizer-e351c8d8-checkpoint125.safetensors"
CODEBOOKS, SIZE = 32, 2048


class MimiPeer(Peer):
    """What both implementations share; each has `stages` and its own names for the quantizer's parts."""

    def __init__(self, model: Any, facts: PeerFacts) -> None:
        self.model, self.facts = model, facts

    def sides(self) -> list[tuple[Any, list[Any]]]:
        """Return the semantic and the acoustic quantizer, each with its codebooks."""
        raise NotImplementedError

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        lookups, first = [], 0
        for side, books in self.sides():
            narrow = effective_weight(side.input_proj)[:, :, 0] @ self._features(audio)[0]
            lookups.append(ResidualLookup(narrow, [Level(self.table(book)) for book in books], first=first))
            first += len(books)
        return lookups

    def table(self, book: Any) -> Tensor:
        """Return a codebook as vectors `[V, d]`."""
        raise NotImplementedError


class TransformersPeer(MimiPeer):
    """transformers' MimiModel."""

    def sides(self) -> list[tuple[Any, list[Any]]]:
        quantizer = self.model.quantizer
        both = quantizer.semantic_residual_vector_quantizer, quantizer.acoustic_residual_vector_quantizer
        return [(side, [layer.codebook for layer in side.layers]) for side in both]

    def table(self, book: Any) -> Tensor:
        return book.embed

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        return PeerCodes(self.model.encode(audio, num_quantizers=num_codebooks).audio_codes, audio.shape[-1])

    def _decode(self, codes: PeerCodes) -> Tensor:
        return self.model.decode(codes.codes).audio_values

    def _features(self, audio: Tensor) -> Tensor:
        return self.model.encoder(audio).latents

    def _save(self, folder: Path, layout: str) -> None:
        self.model.save_pretrained(folder)


class MoshiPeer(MimiPeer):
    """moshi's MimiModel, which takes 8 codebooks unless told otherwise."""

    def sides(self) -> list[tuple[Any, list[Any]]]:
        both = self.model.quantizer.rvq_first, self.model.quantizer.rvq_rest
        return [(side, [layer._codebook for layer in side.vq.layers]) for side in both]

    def table(self, book: Any) -> Tensor:
        return book.embedding

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        self.model.set_num_codebooks(num_codebooks)
        return PeerCodes(self.model.encode(audio), audio.shape[-1])

    def _decode(self, codes: PeerCodes) -> Tensor:
        return self.model.decode(codes.codes)

    def _features(self, audio: Tensor) -> Tensor:
        return self.model.encode_to_latent(audio, quantize=False)

    def _save(self, folder: Path, layout: str) -> None:
        from safetensors.torch import save_file

        state = {name: value.contiguous() for name, value in self.model.state_dict().items()}
        if layout == "moshi-2024":
            state = {first_names(name): value for name, value in state.items()}
        save_file(state, folder / RELEASE_FILE)


def first_names(name: str) -> str:
    """Return the name that a tensor of moshi's had at first, which its loader still reads.

    Example:
        >>> first_names("encoder_transformer.transformer.layers.0.self_attn.in_projs.0.weight")
        'encoder_transformer.transformer.layers.0.self_attn.in_proj_weight'
    """
    name = name.replace("in_projs.0.weight", "in_proj_weight").replace("out_projs.0.weight", "out_proj.weight")
    olds = {"_initialized": "inited", "cluster_usage": "cluster_size", "embedding_sum": "embed_sum"}
    return re.sub(r"(_codebook\.)(\w+)$", lambda found: found[1] + olds[found[2]], name)


def build(variant: str, *, seed: int, full_size: bool) -> MimiPeer:
    """Return a filled Mimi; reduced to 8 filters, width 64 and two layers unless `full_size`."""
    torch.manual_seed(seed)
    facts = PeerFacts(
        name="mimi" if variant == "transformers" else "mimi-moshi",
        oracle=variant,
        layouts=("transformers",) if variant == "transformers" else ("moshi", "moshi-2024"),
        sample_rate=24_000,
        hop_length=1920,
        codebook_sizes=(SIZE,) * CODEBOOKS,
        chains=((0,), tuple(range(1, CODEBOOKS))),
        full_size=full_size,
    )
    model = (_transformers if variant == "transformers" else _moshi)(full_size=full_size).eval()
    peer = (TransformersPeer if variant == "transformers" else MoshiPeer)(model, facts)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "layer_scale" in name:
                parameter.fill_(0.2)
    scatter(model, seed)
    _fill(peer, seed, seconds=8.0 if full_size else 24.0)
    return peer


def _fill(peer: MimiPeer, seed: int, *, seconds: float) -> None:
    audio, scales = fill_encoder(peer, seed, seconds=seconds)
    codes = peer.encode(audio)
    last = [layer for layer in peer.model.modules() if isinstance(layer, torch.nn.Conv1d) and layer.out_channels == 1]
    calibrate(peer.model, lambda: peer.decode(codes), scales=scales | {last[-1]: 0.2})


def fill_encoder(peer: MimiPeer, seed: int, *, seconds: float) -> tuple[Tensor, dict[torch.nn.Module, float]]:
    """Fill the encoder and the codebooks; return the sound that was used, and the scales of residual branches."""
    sound = [signals(24_000, seed + 1, seconds=seconds), recording(24_000, seconds=4.0)]
    audio = torch.cat(sound, dim=1)[None]
    # Residual branches add little to what passes by them, as in trained networks; else rounding grows with depth.
    scales: dict[torch.nn.Module, float] = {
        layer: 0.3
        for name, layer in peer.model.named_modules()
        if ".block.3" in name and isinstance(layer, torch.nn.Conv1d)
    }
    calibrate(peer.model, lambda: peer.features(audio), scales=scales)
    latents = peer.features(audio)
    for side, books in peer.sides():
        calibrate(side.input_proj, lambda side=side: side.input_proj(latents))
        rows = side.input_proj(latents)[0].T
        for number, book in enumerate(books):
            table, rows = _level(rows, seed + number)
            _set_book(book, table, seed)
    return audio, scales


@torch.no_grad()
def _level(rows: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Draw a codebook `[V, d]` for rows `[N, d]`, and return what it leaves of them.

    Not near the rows, which are fewer than the codewords: deep levels would then leave nothing of these rows, be tiny,
    and change other sound so little that rounding decides. Codewords as long as the rows leave most of their length.
    """
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(SIZE, rows.shape[1], generator=generator) * rows.std(0)
    lengths = rows.norm(dim=1).median() * (1.0 + 0.25 * torch.rand(SIZE, 1, generator=generator))
    table = torch.nn.functional.normalize(directions) * lengths
    return table, rows - table[torch.cdist(rows, table).argmin(1)]


@torch.no_grad()
def _set_book(book: Any, table: Tensor, seed: int) -> None:
    """Store a codebook as sums and numbers, some of which are under the least that is divided by."""
    usage = 0.2 + 3 * torch.rand(len(table), generator=torch.Generator().manual_seed(seed))
    usage[::97] = 1e-7
    book.cluster_usage.copy_(usage)
    sums = book.embedding_sum if hasattr(book, "embedding_sum") else book.embed_sum
    sums.copy_(table * usage.clamp(min=1e-5)[:, None])


def _transformers(*, full_size: bool) -> Any:
    from transformers import MimiConfig, MimiModel

    reduced = {
        "hidden_size": 64,
        "num_filters": 8,
        "codebook_dim": 32,
        "vector_quantization_hidden_dimension": 32,
        "upsample_groups": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
    }
    return MimiModel(MimiConfig(**({} if full_size else reduced)))


def _moshi(*, full_size: bool) -> Any:
    from moshi.models import loaders

    config = copy.deepcopy(loaders._mimi_config)
    if not full_size:
        config["seanet"] |= {"dimension": 64, "n_filters": 8}
        config["quantizer"] |= {"dimension": 32, "input_dimension": 64, "output_dimension": 64}
        widths = {"d_model": 64, "input_dimension": 64, "output_dimensions": [64]}
        config["transformer"] |= {**widths, "dim_feedforward": 128, "num_layers": 2}
    return loaders.get_mimi(None, config, num_codebooks=CODEBOOKS)
