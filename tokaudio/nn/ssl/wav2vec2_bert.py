"""w2v-BERT 2.0 (arXiv:2312.05187, section 3.2.1): a conformer over log-mel frames.

Every layer is a conformer block (arXiv:2005.08100, figure 1) with half-weighted feed-forward parts at both ends.
Attention knows distances up to 64 steps back and 8 ahead (arXiv:1803.02155); the depthwise convolution looks back only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.kernels import depthwise

# Steps that go through a feed-forward part together, and queries that attend together: what bounds memory.
_STEPS, _QUERIES = 512, 128


@dataclass(frozen=True, kw_only=True)
class Wav2Vec2BertSizes:
    """Sizes of the network; the defaults are those of `facebook/w2v-bert-2.0`.

    Attributes:
        inputs: width of what it gets: two frames of 80 mel energies side by side.
        width: D.
        hidden: width inside a feed-forward part.
        layers: how many there are.
        heads: of the attention; they divide D.
        taps: of the depthwise convolution.
        back: steps back from which on all distances count as one.
        ahead: the same, ahead.
        eps: of the layer norms.

    Example:
        >>> Wav2Vec2BertSizes(width=8, hidden=16, layers=1, heads=2).make()(torch.zeros(1, 3, 160)).shape
        torch.Size([1, 3, 8])
    """

    inputs: int = 160
    width: int = 1024
    hidden: int = 4096
    layers: int = 24
    heads: int = 16
    taps: int = 31
    back: int = 64
    ahead: int = 8
    eps: float = 1e-5

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide width {self.width}")

    def make(self) -> Wav2Vec2Bert:
        """Return an untrained network."""
        return Wav2Vec2Bert(self)


class Wav2Vec2Bert(nn.Module):
    """The network; made by [`Wav2Vec2BertSizes`][tokaudio.nn.ssl.wav2vec2_bert.Wav2Vec2BertSizes].

    Names of its weights are those of the published files.

    Shape:
        input `[B, T, inputs]`, normalised and paired mel frames; output `[B, T, D]`. Items of a batch are all T long.
    """

    def __init__(self, sizes: Wav2Vec2BertSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.feature_projection = nn.ModuleDict(
            {
                "layer_norm": nn.LayerNorm(sizes.inputs, eps=sizes.eps),
                "projection": nn.Linear(sizes.inputs, sizes.width),
            }
        )
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(ConformerLayer(sizes) for _ in range(sizes.layers))})

    @property
    def _layers(self) -> Iterable[nn.Module]:
        return self.encoder["layers"].children()

    def forward(self, frames: Tensor, layer: int | None = None, *, real: int | None = None) -> Tensor:
        """Map `[B, T, inputs]` to the hidden state `[B, T, D]` after so many layers; no later layer is run.

        Args:
            frames: normalised and paired mel frames.
            layer: 0 for the projected input; None for the last.
            real: frames from this one on are filling: they begin as zeros, and no step sees them, not even itself.

        Raises:
            ValueError: if there is no such layer.
        """
        wanted = self.sizes.layers if layer is None else layer
        if not 0 <= wanted <= self.sizes.layers:
            raise ValueError(f"layer must be from 0 to {self.sizes.layers}, got {layer}")
        return next(islice(self.hidden_states(frames, real=real), wanted, None))

    def hidden_states(self, frames: Tensor, *, real: int | None = None) -> Iterator[Tensor]:
        """Yield the projected input `[B, T, D]` and what each layer makes of it, one at a time; `real` as above.

        Example:
            >>> network = Wav2Vec2BertSizes(width=8, hidden=16, layers=2, heads=2).make()
            >>> [tuple(state.shape) for state in network.hidden_states(torch.zeros(1, 3, 160))]
            [(1, 3, 8), (1, 3, 8), (1, 3, 8)]
        """
        parts = self.feature_projection
        state = _cleared(parts["projection"](parts["layer_norm"](frames)), real)
        yield state
        for layer in self._layers:
            state = layer(state, real)
            yield state


class ConformerLayer(nn.Module):
    """Half a feed-forward part, attention, convolution, half a feed-forward part, each added to its input; a norm."""

    def __init__(self, sizes: Wav2Vec2BertSizes) -> None:
        super().__init__()
        self.ffn1_layer_norm, self.ffn1 = _norm(sizes), FeedForward(sizes)
        self.self_attn_layer_norm, self.self_attn = _norm(sizes), DistanceAttention(sizes)
        self.conv_module = ConvolutionPart(sizes)
        self.ffn2_layer_norm, self.ffn2 = _norm(sizes), FeedForward(sizes)
        self.final_layer_norm = _norm(sizes)

    def forward(self, x: Tensor, real: int | None = None) -> Tensor:
        """Map `[B, T, D]` to `[B, T, D]`, seeing the first `real` steps only."""
        x = self.ffn1(self.ffn1_layer_norm(x), x)
        x = self.self_attn(self.self_attn_layer_norm(x), x, real)
        x = x + self.conv_module(x, real)
        out: Tensor = self.final_layer_norm(self.ffn2(self.ffn2_layer_norm(x), x))
        return out


class FeedForward(nn.Module):
    """Two linear layers with a swish between them, of which half is added to the input."""

    def __init__(self, sizes: Wav2Vec2BertSizes) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(sizes.width, sizes.hidden)
        self.output_dense = nn.Linear(sizes.hidden, sizes.width)

    def forward(self, normed: Tensor, past: Tensor) -> Tensor:
        """Return `past` plus half of what is made of `normed`, both `[B, T, D]`."""
        rows, before = normed.flatten(0, 1), past.flatten(0, 1)
        weight, bias = self.output_dense.weight.T, 0.5 * self.output_dense.bias
        parts = []
        for piece, old in zip(rows.split(_STEPS), before.split(_STEPS), strict=True):
            hidden = F.silu(self.intermediate_dense(piece), inplace=not torch.is_grad_enabled())
            parts.append(torch.addmm(old + bias, hidden, weight, alpha=0.5))
        return (torch.cat(parts) if parts else before).view_as(past)


class DistanceAttention(nn.Module):
    """Attention whose scores also depend on the query and the distance of the key, up to a limit on both sides."""

    def __init__(self, sizes: Wav2Vec2BertSizes) -> None:
        super().__init__()
        self.heads, self.back, self.ahead = sizes.heads, sizes.back, sizes.ahead
        self.linear_q, self.linear_k, self.linear_v, self.linear_out = (
            nn.Linear(sizes.width, sizes.width) for _ in range(4)
        )
        self.distance_embedding = nn.Embedding(sizes.back + sizes.ahead + 1, sizes.width // sizes.heads)

    def forward(self, normed: Tensor, past: Tensor, real: int | None = None) -> Tensor:
        """Return `past` plus what `normed` attends to, of its first `real` steps, both `[B, T, D]`."""
        batch, steps, width = normed.shape
        query, key, value = (
            layer(normed).view(batch, steps, self.heads, -1).transpose(1, 2).flatten(0, 1)
            for layer in (self.linear_q, self.linear_k, self.linear_v)
        )
        key, value = key[:, :real], value[:, :real]
        query = query * query.shape[-1] ** -0.5
        by_distance = query @ self.distance_embedding.weight.T
        seen = []
        # Some queries at a time: the table of all with all would grow with the square of the duration.
        for first in range(0, steps, _QUERIES):
            here = slice(first, first + _QUERIES)
            bias = self._bias(by_distance[:, here], first, key.shape[1])
            weights = torch.baddbmm(bias, query[:, here], key.transpose(1, 2)).softmax(-1)
            seen.append(torch.bmm(weights, value))
        mixed = torch.cat(seen, dim=1).view(batch, self.heads, steps, -1).transpose(1, 2).reshape(batch, steps, width)
        return past + self.linear_out(mixed)

    def _bias(self, by_distance: Tensor, first: int, steps: int) -> Tensor:
        """Return what each of n queries from step `first` on adds to its score with each key, `[B H, n, steps]`.

        Args:
            by_distance: products `[B H, n, back + ahead + 1]` of the queries with every distance's vector.
            first: the step of the first query.
            steps: how many keys there are.
        """
        count = by_distance.shape[1]
        # Keys before `near` are far behind all of these queries, keys from `far` on far ahead of all.
        near, far = min(steps, max(0, first - self.back)), min(steps, first + count + self.ahead)
        at = torch.arange(first, first + count, device=by_distance.device)[:, None]
        distances = torch.arange(near, far, device=by_distance.device) - at
        chosen = distances.clamp(-self.back, self.ahead) + self.back
        middle = by_distance.gather(2, chosen.expand(len(by_distance), -1, -1))
        behind = by_distance[..., :1].expand(-1, -1, near)
        ahead = by_distance[..., -1:].expand(-1, -1, steps - far)
        return torch.cat([behind, middle, ahead], dim=2)


class ConvolutionPart(nn.Module):
    """Norm, gated product, depthwise convolution over the past, norm, swish, product."""

    def __init__(self, sizes: Wav2Vec2BertSizes) -> None:
        super().__init__()
        width, self.taps = sizes.width, sizes.taps
        self.layer_norm, self.depthwise_layer_norm = _norm(sizes), _norm(sizes)
        self.pointwise_conv1 = nn.Conv1d(width, 2 * width, 1, bias=False)
        self.depthwise_conv = nn.Conv1d(width, width, sizes.taps, groups=width, bias=False)
        self.pointwise_conv2 = nn.Conv1d(width, width, 1, bias=False)

    def forward(self, x: Tensor, real: int | None = None) -> Tensor:
        """Map `[B, T, D]` to `[B, T, D]`, seeing the first `real` steps only."""
        gated = F.glu(F.linear(_cleared(self.layer_norm(x), real), self.pointwise_conv1.weight[..., 0]), -1)
        padded = F.pad(gated, (0, 0, self.taps - 1, 0))
        taps, count = self.depthwise_conv.weight[:, 0], x.shape[1]
        mixed = torch.stack([depthwise(item, taps, None, stride=1, dilation=1, count=count) for item in padded])
        return F.linear(F.silu(self.depthwise_layer_norm(mixed)), self.pointwise_conv2.weight[..., 0])


def _norm(sizes: Wav2Vec2BertSizes) -> nn.LayerNorm:
    return nn.LayerNorm(sizes.width, eps=sizes.eps)


def _cleared(x: Tensor, real: int | None) -> Tensor:
    """Return `[B, T, D]` with zeros after the first `real` steps."""
    if real is None or real >= x.shape[1]:
        return x
    return F.pad(x[:, :real], (0, 0, 0, x.shape[1] - real))
