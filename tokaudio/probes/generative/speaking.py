"""Tokens from text: letters are held for as long as they last, and an LSTM says each frame, knowing the ones before.

    model = TextSpeaker(letters=26, sizes=sizes, tables=tables)
    model.losses(text, durations, prompts, codes, lengths)  # [B]
    model.speak(text, prompts)                              # codes of each text, [K, T] each

How long letters last is predicted, as in Non-Attentive Tacotron (arXiv:2010.04301): attention would need more speech
than minutes to be learnt. The voice is that of a prompt: mean and deviation of its tokens' vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.probes.generative.predictor import WIDTH, TokenOutputs
from tokaudio.probes.models.sequence_bodies import frame_mask
from tokaudio.probes.models.token_features import TokenFeatures

_VECTOR = 64
_LONGEST_LETTER = 50
_TOLD = 0.5


class TextSpeaker(nn.Module):
    """Tokens from letters, and from a prompt that gives the voice.

    Args:
        letters: how many there are; numbers from 1 on, 0 for none.
        sizes: of the codebooks `[K]`.
        tables: the tokenizer's codebooks.
    """

    def __init__(self, letters: int, sizes: Sequence[int], *, tables: Sequence[Tensor] | None = None) -> None:
        super().__init__()
        self.letters = nn.Embedding(letters + 1, WIDTH, padding_idx=0)
        self.near = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 5, padding=2) for _ in range(2))
        self.features = TokenFeatures(sizes, width=_VECTOR, tables=tables, trainable=tables is None)
        self.voice = nn.Linear(2 * _VECTOR, WIDTH)
        self.lasts = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))
        self.place = nn.Linear(3, WIDTH)
        self.before = nn.Linear(_VECTOR, WIDTH)
        self.dropout = nn.Dropout(0.3)
        self.lstm = nn.LSTM(2 * WIDTH, 2 * WIDTH, batch_first=True)
        self.out = nn.Linear(3 * WIDTH, WIDTH)
        self.outputs = TokenOutputs(sizes, width=WIDTH, tables=tables)
        self.share = 1.0

    def _read(self, text: Tensor, prompts: Tensor, prompt_lengths: Tensor) -> Tensor:
        """Return a vector for each letter `[B, L, WIDTH]`."""
        said = text > 0
        read = self.letters(text)
        for conv in self.near:
            read = read + self.dropout(conv((read * said[..., None]).transpose(1, 2)).relu().transpose(1, 2))
        vectors = self.features(prompts).sum(dim=2)
        mask = frame_mask(vectors, prompt_lengths)
        count = mask.sum(dim=1).clamp(min=1)
        mean = (vectors * mask).sum(dim=1) / count
        deviation = (((vectors - mean[:, None]).square() * mask).sum(dim=1) / count + 1e-4).sqrt()
        return read + self.voice(torch.cat([mean, deviation], dim=1) / 8)[:, None]

    def _held(self, read: Tensor, durations: Tensor) -> Tensor:
        """Return each letter's vector for as long as it lasts `[B, T, WIDTH]`, with the place within it."""
        lengths = durations.sum(dim=1)
        held = read.new_zeros(len(read), int(lengths.max()), WIDTH)
        for item, (vectors, lasts) in enumerate(zip(read, durations, strict=True)):
            frames = vectors.repeat_interleave(lasts, dim=0)
            starts = (lasts.cumsum(0) - lasts).repeat_interleave(lasts)
            passed = torch.arange(len(frames)) - starts
            whole = lasts.repeat_interleave(lasts)
            place = torch.stack([passed / whole, passed / 10, (whole - passed) / 10], dim=1).to(frames.dtype)
            held[item, : len(frames)] = frames + self.place(place)
        return held

    def losses(
        self, text: Tensor, durations: Tensor, prompts: tuple[Tensor, Tensor], codes: Tensor, lengths: Tensor
    ) -> Tensor:
        """Return the mean `-log p` of each item's codes, and what its durations cost, `[B]`.

        Args:
            text: letters `[B, L]`, 0 beyond the end.
            durations: frames of each `[B, L]`.
            prompts: codes `[B, K, P]` and lengths `[B]`.
            codes: what is to be said `[B, K, T]`.
            lengths: frames of it `[B]`.
        """
        read = self._read(text, *prompts)
        said = (text > 0).float()
        off = (self.lasts(read)[..., 0] - (durations.float() + 1).log()).square() * said
        held = self._held(read, durations)
        vectors = self.features(codes).sum(dim=2)
        before = F.pad(vectors, (0, 0, 1, 0))[:, :-1]
        frames = self._frames(held, self.lstm(self._given(held, before))[0])
        mask = frame_mask(frames, lengths)[..., 0]
        if self.training and self.share < 1:
            mask = mask * (torch.rand(mask.shape) < self.share)
        items, times = mask.nonzero(as_tuple=True)
        nats = self.outputs.cost(frames[items, times], codes[items, :, times])
        count = torch.bincount(items, minlength=len(text)).clamp(min=1)
        cost = torch.zeros(len(text)).index_add(0, items, nats) / count
        return cost + off.sum(dim=1) / said.sum(dim=1)

    def _given(self, held: Tensor, before: Tensor) -> Tensor:
        told = self.before(before / 8).relu()
        if self.training:
            # Now and then nothing is known of the frame before: what is said shall follow from the text.
            told = told * (torch.rand(told.shape[:2]) < _TOLD)[..., None]
        return torch.cat([held, self.dropout(told)], dim=2)

    def _frames(self, held: Tensor, hidden: Tensor) -> Tensor:
        frames: Tensor = self.out(torch.cat([held, self.dropout(hidden)], dim=2))
        return frames

    @torch.no_grad()
    def speak(self, text: Tensor, prompts: tuple[Tensor, Tensor]) -> list[Tensor]:
        """Return codes `[K, T]` of each text, in the voice of its prompt."""
        read = self._read(text, *prompts)
        lasts = (self.lasts(read)[..., 0].exp() - 1).round().clamp(0, _LONGEST_LETTER).long() * (text > 0)
        lasts[:, 0] = lasts[:, 0].clamp(min=1)
        held = self._held(read, lasts)
        before, state, said = read.new_zeros(len(text), 1, _VECTOR), None, []
        for time in range(held.shape[1]):
            now = held[:, time : time + 1]
            hidden, state = self.lstm(self._given(now, before), state)
            said.append(self.outputs.choose(self._frames(now, hidden)[:, 0], expected=True))
            before = self.features(said[-1][..., None]).sum(dim=2)
        codes = torch.stack(said, dim=2)
        return [row[:, :length] for row, length in zip(codes, lasts.sum(dim=1).tolist(), strict=True)]
