"""Two tokenizers as one: the codes of a semantic one beside those of one that decodes.

"Could we fuse compression and semantic tokens?" Distillation, as in SpeechTokenizer (arXiv:2308.16692) and Mimi
(arXiv:2410.00037), trains one model for both; this puts any two trained ones side by side, so that a language model
reads what one says and the sound comes from the other. See `tokaudio.tokenizers.alignment` for the time axis.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.nn.functional import pad

from tokaudio.audio import RESAMPLER, as_audio, resampled_length
from tokaudio.errors import CheckpointError, TokensError, one_line
from tokaudio.nn.determinism import exact_inference
from tokaudio.tokenizers.alignment import Weaver, inner_extras, mark_of
from tokaudio.tokenizers.base import Streaming, Tokenizer
from tokaudio.tokenizers.clips import raw_clips
from tokaudio.tokenizers.fused_spec import COMPRESSION, SEMANTIC, fused_spans, fused_spec
from tokaudio.tokenizers.fused_streams import Feed, FusedDecoder, FusedEncoder
from tokaudio.tokenizers.pieces import Collector, Encoded, padded
from tokaudio.tokenizers.streams import Refusing
from tokaudio.tokens import Tokens

# Frames of one piece of a long signal, where there are pieces.
_PIECE_FRAMES = 1500


def fuse(
    semantic: Tokenizer | str | os.PathLike[str],
    compression: Tokenizer | str | os.PathLike[str],
    *,
    name: str | None = None,
) -> FusedTokenizer:
    """Make one hybrid tokenizer of two: the codebooks of the first, then those of the second, which decodes.

    Args:
        semantic: any tokenizer, or what `Tokenizer.from_pretrained` takes; it need not decode.
        compression: any tokenizer that decodes.
        name: of the fused tokenizer; None for the names of both, joined by a plus.

    Raises:
        TokensError: if `compression` does not decode, a part is fused itself, or codes signals segment by segment.

    Example:
        >>> fused = fuse("mini-codec", "mini-codec", name="twice")
        >>> fused.encode(torch.zeros(16_000), 16_000)
        Tokens(twice, 16 codebooks x 50 frames, 1.00 s, 8.0 kbps)
    """
    parts = [
        part if isinstance(part, Tokenizer) else Tokenizer.from_pretrained(part) for part in (semantic, compression)
    ]
    return FusedTokenizer(*parts, name=name).eval()


class FusedTokenizer(Tokenizer):
    """A semantic and a compression tokenizer side by side; make it with [`fuse`][tokaudio.fuse].

    Each part hears the sound at its own rate and gives exactly the codes that it gives alone; the extras
    `frame_semantic` and `frame_compression` mark the frames in which they begin, and `split` reads them off. Sound is
    decoded from the compression part's codes alone. `embed`, `features` and `codebooks` lie in one space, the semantic
    part's dimensions first.

    Attributes:
        semantic: the part whose codebooks come first.
        compression: the part that decodes.
    """

    FAMILY = "fused"

    def __init__(self, semantic: Tokenizer, compression: Tokenizer, *, name: str | None = None) -> None:
        """Put two tokenizers side by side; they are not copied.

        Raises:
            TokensError: as for `fuse`.
        """
        for part in (semantic, compression):
            if isinstance(part, FusedTokenizer):
                raise TokensError(one_line(part.spec.name, "is fused already", "fuse one of its parts"))
        if not compression.decodes:
            problem = "turns sound into tokens only"
            raise TokensError(one_line(compression.spec.name, problem, "give a compression tokenizer that decodes"))
        super().__init__(fused_spec(semantic.spec, compression.spec, name=name))
        self.semantic, self.compression = semantic, compression
        self.spans = fused_spans(semantic.spec, compression.spec)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> NoReturn:
        """Refuse: a fused tokenizer lies in a folder with its parts.

        Raises:
            CheckpointError: always.
        """
        raise CheckpointError("a fused tokenizer is made of its parts; load its folder, or fuse them")

    def config(self) -> dict[str, Any]:
        """Return the family's name, and the sub-folders of the parts."""
        return {"family": self.FAMILY, "parts": [SEMANTIC, COMPRESSION]}

    def save_pretrained(self, folder: str | os.PathLike[str]) -> Path:
        """Write both parts to the sub-folders `semantic` and `compression`, and what joins them to `config.json`.

        Each sub-folder is a tokenizer of its own.

        Raises:
            OutputError: if a folder cannot be made or written.
        """
        from tokaudio.tokenizers.fused_files import save_fused

        return save_fused(self, Path(folder))

    @property
    def least_codebooks(self) -> int:
        """Fewest first codebooks that can be decoded: all of the semantic part, and what the other needs."""
        return self.semantic.spec.num_codebooks + self.compression.least_codebooks

    def _coding_state(self) -> dict[str, Tensor]:
        parts = {part: self._part(part)._coding_state() for part in self.spans}
        return {f"{part}.{name}": value for part, state in parts.items() for name, value in state.items()}

    def split(self, tokens: Tokens) -> tuple[Tokens, Tokens | None]:
        """Return the tokens of the semantic and of the compression part, as each would have made them.

        Where tokens have no marks, such as those of a language model, codes are taken to begin where they would in a
        whole signal.

        Args:
            tokens: of this tokenizer; its first codebooks, or all of them.

        Returns:
            Tokens of both parts; None for the second where there are codebooks of the first only.

        Raises:
            TokensError: if the tokens are another tokenizer's.

        Example:
            >>> fused = fuse("mini-codec", "mini-codec")
            >>> tokens = fused.encode(torch.zeros(16_000), 16_000)
            >>> fused.split(tokens)[1] == fused.compression.encode(torch.zeros(16_000), 16_000)
            True
        """
        self._checked(tokens)
        parts = self._parts(tokens.spec.num_codebooks)
        found = {part: self._split(tokens, part, k) for part, k in parts.items()}
        return found[SEMANTIC], found.get(COMPRESSION)

    # --- encoding --------------------------------------------------------------------------------------------------

    def encode(
        self,
        audio: Any,
        sample_rate: int | None = None,
        *,
        num_codebooks: int | None = None,
        num_samples: Sequence[int] | Tensor | None = None,
    ) -> Tokens:
        """Turn sound into tokens; see [`Tokenizer.encode`][tokaudio.Tokenizer.encode].

        Each part resamples the sound as it is given, never what was resampled for the other.
        """
        if isinstance(audio, (str, os.PathLike)):
            return super().encode(audio, sample_rate, num_codebooks=num_codebooks)
        k, items = self._codebook_count(num_codebooks), []
        lengths: list[int] = []
        provenance: dict[str, str] = {}
        for samples, rate in raw_clips(audio, sample_rate, num_samples, default=self.spec.sample_rate):
            encoded, notes = self._encode_clip(samples, rate, k)
            items.append(encoded)
            lengths.append(resampled_length(samples.shape[1], rate, self.spec.sample_rate))
            provenance |= notes
        return self._with_extras(items, lengths, k, provenance)

    def encode_pieces(
        self, blocks: Iterable[Any], sample_rate: int, *, num_codebooks: int | None = None
    ) -> Iterator[Tokens]:
        """Yield tokens as [`Tokenizer.encode_pieces`][tokaudio.Tokenizer.encode_pieces] does.

        One piece, of codes alone, where a part does not keep its promises for pieces.
        """
        k = self._codebook_count(num_codebooks)
        encoder = self._encoder(k, sample_rate, channels=None)
        ready, done = Collector(encoder), 0
        for block in blocks:
            ready.push(as_audio(block).samples[0].detach().cpu())
            if ready.frames >= _PIECE_FRAMES and self.spec.chunking != "none":
                held = self.spec.frame_start(ready.frames)
                yield self._with_extras([ready.take()], [held], k, self._notes(sample_rate))
                done += held
        ready.flush()
        notes = self._notes(sample_rate)
        if self.spec.chunking == "none":
            notes |= _renamed({part: feed.provenance() for part, feed in encoder.feeds.items()})
        yield self._with_extras([ready.take()], [encoder.pushed - done], k, notes)

    def _encode_clip(self, samples: Tensor, rate: int, k: int) -> tuple[Encoded, dict[str, str]]:
        """Return one clip's codes, marks and side information, and what the parts note about it."""
        parts = self._parts(k)
        weaver = Weaver({part: self.spans[part] for part in parts}, self.spec.num_frames)
        notes = {}
        for part, books in parts.items():
            tokens = self._part(part).encode(samples, rate, num_codebooks=books)
            notes[part] = dict(tokens.provenance)
            extras = {name: value[0] for name, value in tokens.extras.items()}
            weaver.add(part, Encoded(tokens.codes[0].to(self.device), extras))
        length = resampled_length(samples.shape[1], rate, self.spec.sample_rate)
        return weaver.take(length, last=True), self._notes(rate) | _renamed(notes)

    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        return self._encode_clip(samples, self.spec.sample_rate, num_codebooks)[0].codes

    def _encoder(self, k: int, sample_rate: int, *, channels: int | None) -> FusedEncoder:
        self._require_float32()
        parts = self._parts(k)
        encoder = FusedEncoder(
            {part: Feed(self._part(part), books, sample_rate) for part, books in parts.items()},
            Weaver({part: self.spans[part] for part in parts}, self.spec.num_frames),
            channels=channels,
            sample_rate=sample_rate,
            counted_at=self.spec.sample_rate,
        )
        encoder.run = self._exactly(encoder.run)
        return encoder

    def _notes(self, rate: int) -> dict[str, str]:
        rates = {self.semantic.spec.sample_rate, self.compression.spec.sample_rate}
        return {} if rates == {rate} else {"resampler": RESAMPLER}

    # --- decoding --------------------------------------------------------------------------------------------------

    def _decode_item(self, item: Tokens) -> Tensor:
        part = self._split(item, COMPRESSION, self._parts(item.spec.num_codebooks).get(COMPRESSION, 0))
        length = self.spec.decoded_length(int(item.num_samples[0]))
        if not part.codes.shape[2]:
            return torch.zeros(self.spec.channels, length, dtype=torch.float32, device=self.device)
        sound = self.compression._decode_item(part)
        # Of a cut within a code, the part has a code less than the cut has samples for.
        return pad(sound, (0, length - sound.shape[1]))

    def _decode(self, codes: Tensor, num_samples: int) -> Tensor:
        facts = (torch.tensor([codes.shape[1]]), torch.tensor([num_samples]), self.spec.select(len(codes)))
        return self._decode_item(Tokens(codes[None].cpu(), *facts))

    def _streaming(self, num_codebooks: int) -> Streaming:
        encoder = self._encoder(num_codebooks, self.spec.sample_rate, channels=self.spec.channels)
        books = self._parts(num_codebooks).get(COMPRESSION, 0)
        if not books:
            return Streaming(encoder, Refusing(self._no_sound))
        decoder = self.compression._streaming(books).decoder
        sizes = self.spec.codebook_sizes[:num_codebooks]
        rows = slice(num_codebooks - books, num_codebooks)
        return Streaming(encoder, FusedDecoder(decoder, COMPRESSION, rows, self.spans[COMPRESSION], sizes))

    def _no_sound(self) -> TokensError:
        problem = "these tokens hold codebooks of its semantic part only"
        return TokensError(one_line(self.spec.name, problem, f"encode with {self.least_codebooks} codebooks or more"))

    # --- vectors ---------------------------------------------------------------------------------------------------

    def features(self, audio: Any, sample_rate: int | None = None) -> Tensor:
        """Return the continuous vectors `[B, D, T]` of both parts, one above the other, repeated as the codes are."""
        rows = []
        for samples, rate in raw_clips(audio, sample_rate, None, default=self.spec.sample_rate):
            frames = self.spec.num_frames(resampled_length(samples.shape[1], rate, self.spec.sample_rate))
            found = [
                _repeated(self._part(part).features(samples, rate)[0], span.owners(torch.arange(frames)))
                for part, span in self.spans.items()
            ]
            rows.append(torch.cat(found))
        return padded(rows, 1)

    def _features(self, samples: Tensor) -> Tensor:
        return self.features(samples)[0]

    def embed(self, tokens: Tokens) -> Tensor:
        """Return the vectors `[B, D, T]` of both parts, one above the other; zero where a part has no codebooks.

        Raises:
            TokensError: if the tokens are another tokenizer's.
        """
        self._checked(tokens)
        rows = [pad(self._embed_item(item), (0, tokens.codes.shape[2] - item.codes.shape[2])) for item in tokens]
        return torch.stack(rows) if rows else torch.zeros(0, sum(self._widths.values()), 0, device=self.device)

    def _embed_item(self, item: Tokens) -> Tensor:
        parts, found = self._parts(item.spec.num_codebooks), []
        frames = item.codes.shape[2]
        for part, width in self._widths.items():
            if not frames or part not in parts:
                found.append(torch.zeros(width, frames, dtype=torch.float32, device=self.device))
                continue
            begins = self._begins(item, part)
            begins[0] = True  # a cut may lie within a code
            vectors = self._part(part).embed(self._picked(item, part, parts[part], begins))[0]
            found.append(_repeated(vectors, begins.cumsum(0) - 1))
        return torch.cat(found)

    def _embed(self, codes: Tensor) -> Tensor:
        return self.embed(Tokens.from_codes(codes, self.spec.select(codes.shape[1])))

    def codebooks(self) -> list[Tensor]:
        """Return every codebook as vectors `[V, D]`, zero in the dimensions of the other part."""
        before, after = self._widths.values()
        semantic = [pad(book, (0, after)) for book in self.semantic.codebooks()]
        return semantic + [pad(book, (before, 0)) for book in self.compression.codebooks()]

    @cached_property
    def _widths(self) -> dict[str, int]:
        """Dimensions of what each part embeds, by its name."""
        widths = {}
        for part in self.spans:
            spec = self._part(part).spec
            frames = spec.stride_period * spec.frame_multiple
            none = torch.zeros(1, spec.num_codebooks, frames, dtype=torch.int64, device=self.device)
            with exact_inference(self.device):
                widths[part] = self._part(part)._embed(none).shape[1]
        return widths

    # --- parts -----------------------------------------------------------------------------------------------------

    def _part(self, name: str) -> Tokenizer:
        return self.semantic if name == SEMANTIC else self.compression

    def _parts(self, k: int) -> dict[str, int]:
        """Return how many codebooks of each part are among the first k; parts with none are left out."""
        first = min(k, self.semantic.spec.num_codebooks)
        return {SEMANTIC: first} | ({COMPRESSION: k - first} if k > first else {})

    def _split(self, tokens: Tokens, part: str, k: int) -> Tokens:
        if not k:
            raise self._no_sound()
        items = [self._picked(item, part, k, self._begins(item, part)) for item in tokens]
        return Tokens.batch(items) if items else self._part(part)._tokens([], [], k, {})

    def _begins(self, item: Tokens, part: str) -> Tensor:
        """Return in which frames of one item a code of a part begins, bool `[T]` on the CPU."""
        marks = item.extras.get(mark_of(part))
        if marks is not None:
            return marks[0].bool().cpu()
        begins = self.spans[part].begins(torch.arange(item.codes.shape[2]))
        most = self._part(part).spec.num_frames(self._samples(item, part))
        return begins & (begins.cumsum(0) <= most)

    def _samples(self, item: Tokens, part: str) -> int:
        return resampled_length(int(item.num_samples[0]), self.spec.sample_rate, self._part(part).spec.sample_rate)

    def _picked(self, item: Tokens, part: str, k: int, begins: Tensor) -> Tokens:
        """Return a part's tokens of one item: its codes at the frames where they begin."""
        tokenizer = self._part(part)
        rows = slice(0, k) if part == SEMANTIC else slice(self.semantic.spec.num_codebooks, None)
        chosen = begins.to(item.device)
        codes = item.codes[:, rows][:, :, chosen]
        return Tokens(
            codes,
            torch.tensor([codes.shape[2]], device=item.device),
            torch.tensor([self._samples(item, part)], device=item.device),
            tokenizer.spec.select(k),
            tokenizer.fingerprint,
            inner_extras(item.extras, part, chosen, dim=1),
        )


def _repeated(vectors: Tensor, owners: Tensor) -> Tensor:
    """Return vectors `[D, n]` as often as they are owners, the last one for all after it; zero where there are none."""
    if not vectors.shape[1]:
        return vectors.new_zeros(vectors.shape[0], len(owners))
    return vectors[:, owners.clamp(max=vectors.shape[1] - 1).to(vectors.device)]


def _renamed(notes: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return what parts note, each under its own name."""
    return {
        f"{part}_{name}": text for part, texts in notes.items() for name, text in texts.items() if name != "resampler"
    }
