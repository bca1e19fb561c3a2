"""The contract of every tokenizer, and all that tokenizers share: judging input, keeping modes out, checking tokens.

A family implements a few methods on tensors that are already right: float32, on the right device, at the right rate
and number of channels, without gradients or autocast. Everything a caller can get wrong is handled here, once.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tokaudio.audio import RESAMPLER, AudioReader, StreamResampler, as_audio, to_channels
from tokaudio.errors import AudioError, CheckpointError, TokensError, one_line
from tokaudio.nn.determinism import exact_inference
from tokaudio.quantizers.depth import decode_to_depth
from tokaudio.spec import TokenizerSpec
from tokaudio.tokenizers.clips import split_clips
from tokaudio.tokenizers.fingerprint import fingerprint_of
from tokaudio.tokenizers.pieces import Collector, Encoded, codes_to_depth, extras_of, item_extras, padded, tokens_of
from tokaudio.tokenizers.streams import Streaming
from tokaudio.tokens import Tokens

__all__ = ["Streaming", "Tokenizer"]

# Frames of one piece of a long signal: large enough that keeping pieces costs little besides their codes.
_PIECE_FRAMES = 1500


class Tokenizer(nn.Module, ABC):
    """Turns sound into discrete tokens and back.

    Shape letters: B batch, C channels, S samples, K codebooks, T frames, V codebook size, D width.

    Attributes:
        spec: the frozen facts: rates, codebooks, licence.
        decodes: whether there is a decoder; see [`EncodeOnly`][tokaudio.tokenizers.encode_only.EncodeOnly].
        takes_depth: whether it decodes tokens whose number of codebooks differs from frame to frame.

    Example:
        >>> tokenizer = Tokenizer.from_pretrained("mini-codec")
        >>> tokens = tokenizer.encode(torch.zeros(16_000), sample_rate=16_000)
        >>> tokens
        Tokens(mini-codec, 8 codebooks x 50 frames, 1.00 s, 4.0 kbps)
        >>> tokenizer.decode(tokens).shape
        torch.Size([1, 1, 16000])
    """

    spec: TokenizerSpec
    decodes: bool = True
    takes_depth: bool = False

    def __init__(self, spec: TokenizerSpec) -> None:
        super().__init__()
        self.spec = spec
        self._fingerprint: tuple[object, str] | None = None

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> Tokenizer:
        """Load a tokenizer by name, from a repository of the Hub, or from a local folder.

        Args:
            name_or_path: a name that `list_tokenizers(published=True)` gives, a repository `OWNER/NAME` or
                `OWNER/NAME@REVISION`, or a folder, of `save_pretrained` or as it is published. A built-in name wins
                over a folder of that name (write `./NAME` for the folder), a folder over a repository.
            revision: branch, tag or commit on the Hub; built-in tokenizers have none.
            cache_dir: where Hub files are kept.
            local_files_only: never touch the network.
            token: Hub access token.

        Raises:
            UnknownNameError: if nothing of this name exists.
            HubError: if files are missing here and the Hub cannot be reached, or refuses access.
            CheckpointError: if the files are damaged or do not fit together.
        """
        from tokaudio.tokenizers.pretrained import load_tokenizer

        tokenizer = load_tokenizer(
            name_or_path,
            revision=revision,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            token=token,
            expected=cls,
        )
        if not isinstance(tokenizer, cls):
            raise CheckpointError(f"{name_or_path}: is a {type(tokenizer).__name__}, not a {cls.__name__}")
        return tokenizer

    def save_pretrained(self, folder: str | os.PathLike[str]) -> Path:
        """Write `config.json`, `model.safetensors` and a model card to a folder and return it.

        Example:
            >>> import tempfile
            >>> folder = Tokenizer.from_pretrained("mini-codec").save_pretrained(tempfile.mkdtemp())
            >>> sorted(path.name for path in folder.iterdir())
            ['README.md', 'config.json', 'model.safetensors']
        """
        from tokaudio.tokenizers.pretrained import save_tokenizer

        return save_tokenizer(self, Path(folder))

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = False,
        token: str | bool | None = None,
        revision: str | None = None,
        commit_message: str | None = None,
    ) -> str:
        """Upload the files of `save_pretrained` to a repository of the Hub, and return its address.

        Arguments and errors are those of [`push_folder`][tokaudio.hub.push_folder].
        """
        from tokaudio.tokenizers.publish import push_tokenizer

        return push_tokenizer(
            self, repo_id, private=private, token=token, revision=revision, commit_message=commit_message
        )

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Return what `config.json` holds besides the spec: the family's name and its sizes."""

    @property
    def fingerprint(self) -> str:
        """First 16 hexadecimal digits of a SHA-256 over all weights by name; stored in every token file."""
        state = self._coding_state()
        key = [(value.data_ptr(), value._version) for value in state.values()]
        if self._fingerprint is None or self._fingerprint[0] != key:
            self._fingerprint = (key, fingerprint_of(state))
        return self._fingerprint[1]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(itertools.chain(self.parameters(), self.buffers())).device

    @property
    def least_codebooks(self) -> int:
        """Fewest first codebooks that can be decoded."""
        return 1

    @abstractmethod
    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        """Return codes `[k, T]` of one item's samples `[C, S]`, S > 0."""

    @abstractmethod
    def _decode(self, codes: Tensor, num_samples: int) -> Tensor:
        """Return samples `[C, num_samples]` of one item's codes `[k, T]`."""

    @abstractmethod
    def _features(self, samples: Tensor) -> Tensor:
        """Return continuous vectors `[D, T]` before quantization, of one item's samples `[C, S]`, S > 0."""

    @abstractmethod
    def _embed(self, codes: Tensor) -> Tensor:
        """Return the vectors `[B, D, T]` that the decoder receives for codes `[B, k, T]`."""

    @abstractmethod
    def codebooks(self) -> list[Tensor]:
        """Return every codebook as a table of vectors `[V, D]` in the space of `embed`."""

    @abstractmethod
    def _streaming(self, num_codebooks: int) -> Streaming:
        """Return fresh streams."""

    def encode(
        self,
        audio: Any,
        sample_rate: int | None = None,
        *,
        num_codebooks: int | None = None,
        num_samples: Sequence[int] | Tensor | None = None,
    ) -> Tokens:
        """Turn sound into tokens.

        Args:
            audio: samples `[S]`, `[C, S]` or `[B, C, S]` (tensor, array, nested lists; integers are PCM), a path, or a
                list of clips of any of these forms, of different lengths if need be.
            sample_rate: of the samples in Hz; resampled where it differs from the tokenizer's. None means the
                tokenizer's own rate, or the file's.
            num_codebooks: use only the first so many codebooks; None for all.
            num_samples: how many samples of each item `[B]` are real, where a batch was right-padded, counted at
                `sample_rate`.

        Returns:
            Tokens with codes `[B, K, T]`, the same ones for each item as if it had been encoded alone.

        Raises:
            AudioError: if the audio is unusable, e.g. non-finite, empty of axes, or of unknown rate.
            ValueError: if `num_codebooks` is out of range.
        """
        k = self._codebook_count(num_codebooks)
        if isinstance(audio, (str, os.PathLike)):
            with AudioReader(audio) as reader:
                if sample_rate is not None and sample_rate != reader.sample_rate:
                    raise AudioError(f"{audio}: has {reader.sample_rate} Hz, not {sample_rate}; leave sample_rate out")
                return self.encode_blocks(reader.blocks(), reader.sample_rate, num_codebooks=num_codebooks)
        items, resampled = self._items(audio, sample_rate, num_samples)
        provenance = {"resampler": RESAMPLER} if resampled else {}
        with exact_inference(self.device):
            self._require_float32()
            encoded = [self._encode_item(item, k) for item in items]
        return self._with_extras(encoded, [item.shape[1] for item in items], k, provenance)

    def encode_blocks(self, blocks: Iterable[Any], sample_rate: int, *, num_codebooks: int | None = None) -> Tokens:
        """Turn sound that arrives in pieces into tokens, in memory that does not grow with its length.

        Args:
            blocks: arrays or tensors `[C, n]`, float in [-1, 1] or PCM, for example of `AudioReader.blocks()`.
            sample_rate: of the samples in Hz.
            num_codebooks: use only the first so many codebooks.

        Returns:
            Tokens of one item, equal to those of the whole signal encoded at once.
        """
        return Tokens.concatenate(list(self.encode_pieces(blocks, sample_rate, num_codebooks=num_codebooks)))

    def encode_pieces(
        self, blocks: Iterable[Any], sample_rate: int, *, num_codebooks: int | None = None
    ) -> Iterator[Tokens]:
        """Yield the tokens of sound that arrives in pieces, about half a minute at a time, as soon as they are ready.

        Joined with `Tokens.concatenate`, or in a token file with `tokaudio.storage.TokenSpool`, they are the tokens of
        the whole signal. Arguments as for `encode_blocks`; there is always a last piece, empty if need be.
        """
        k = self._codebook_count(num_codebooks)
        self._require_float32()
        resampler = StreamResampler(sample_rate, self.spec.sample_rate, self.spec.channels)
        ready = Collector(self.streaming(num_codebooks=k).encoder)
        provenance = {"resampler": RESAMPLER} if sample_rate != self.spec.sample_rate else {}
        done = 0
        for block in blocks:
            samples, _ = to_channels(as_audio(block).samples.detach().cpu(), self.spec.channels)
            ready.push(torch.from_numpy(resampler.push(samples[0].numpy())).to(self.device))
            if ready.frames >= _PIECE_FRAMES:
                held = self.spec.frame_start(ready.frames)
                yield self._with_extras([ready.take()], [held], k, provenance)
                done += held
        ready.push(torch.from_numpy(resampler.flush()).to(self.device))
        ready.flush()
        yield self._with_extras([ready.take()], [ready.encoder.pushed - done], k, provenance)

    def decode(self, tokens: Tokens) -> Tensor:
        """Turn tokens into sound.

        Args:
            tokens: of this tokenizer; fewer codebooks are fine if they are the first ones.

        Returns:
            Samples `[B, C, S]` at `spec.output_sample_rate`, each item of exactly its own length and zero after it.

        Raises:
            TokensError: if the tokens are another tokenizer's.
        """
        items = list(self._checked(tokens))
        with exact_inference(self.device):
            self._require_float32()
            silence = torch.zeros(self.spec.channels, 0, dtype=torch.float32, device=self.device)
            sounds = [self._decode_item(item) if item.codes.shape[2] else silence for item in items]
        return padded(sounds, 1) if sounds else silence[None][:0]

    def decode_blocks(self, tokens: Tokens, *, block_frames: int = 1000) -> Iterator[Tensor]:
        """Yield the sound of one item piece by piece `[C, n]`, in memory that does not grow with its length."""
        if len(tokens) != 1:
            raise TokensError(f"decode_blocks takes one item, got {len(tokens)}; use tokens[i]")
        self._checked(tokens)
        left = self.spec.decoded_length(int(tokens.num_samples[0]))
        decoder = self._streaming(tokens.spec.num_codebooks).decoder
        self._require_float32()
        codes, frames = codes_to_depth(tokens), tokens.codes.shape[2]
        for start in range(0, frames + block_frames, block_frames):
            with exact_inference(self.device):
                if start < frames:
                    decoder.extras = item_extras(tokens, slice(start, start + block_frames), self.device)
                    piece = decoder.push(codes[0, :, start : start + block_frames].to(self.device))
                else:
                    piece = decoder.flush()
            if piece.shape[1]:
                yield piece[:, :left]
                left -= min(left, piece.shape[1])
        if left and frames:
            yield torch.zeros(self.spec.channels, left, dtype=torch.float32, device=self.device)

    def features(self, audio: Any, sample_rate: int | None = None) -> Tensor:
        """Return the continuous vectors `[B, D, T]` of the encoder before quantization, zero after each item's end."""
        items, _ = self._items(audio, sample_rate, None)
        with exact_inference(self.device):
            self._require_float32()
            rows = [self._features(item).T if item.shape[1] else self._no_features() for item in items]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True).transpose(1, 2)

    def embed(self, tokens: Tokens) -> Tensor:
        """Return the vectors `[B, D, T]` that the decoder (or a language model) receives, zero after each item's end.

        Raises:
            TokensError: if the tokens are another tokenizer's.
        """
        self._checked(tokens)
        with exact_inference(self.device):
            vectors = decode_to_depth(self._embed, codes_to_depth(tokens).to(self.device))
            return vectors * tokens.mask[:, None].to(vectors)

    def streaming(self, *, num_codebooks: int | None = None) -> Streaming:
        """Return an encoder and a decoder for sound that arrives in pieces; their results equal the whole signal's."""
        self._require_float32()
        streaming = self._streaming(self._codebook_count(num_codebooks))
        for stream in (streaming.encoder, streaming.decoder):
            stream.run = self._exactly(stream.run)
        return streaming

    def _exactly(self, run: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def exact(*given: Any) -> Tensor:
            with exact_inference(self.device):
                return run(*given)

        return exact

    def _codebook_count(self, num_codebooks: int | None) -> int:
        if num_codebooks is None:
            return self.spec.num_codebooks
        if not 1 <= num_codebooks <= self.spec.num_codebooks:
            raise ValueError(f"num_codebooks must be between 1 and {self.spec.num_codebooks}, got {num_codebooks}")
        return num_codebooks

    def _encode_item(self, samples: Tensor, k: int) -> Encoded:
        """Return one item's codes and side information; families that have any do it in their own way."""
        return Encoded(self._encode(samples, k) if samples.shape[1] else self._no_codes(k), {})

    def _decode_item(self, item: Tokens) -> Tensor:
        """Return samples `[C, S]` of one item that has frames; families that need side information look it up."""
        codes = codes_to_depth(item)[0].to(self.device)
        return self._decode(codes, self.spec.decoded_length(int(item.num_samples[0])))

    def _items(
        self, audio: Any, sample_rate: int | None, num_samples: Sequence[int] | Tensor | None
    ) -> tuple[list[Tensor], bool]:
        """Return clips `[C, S]` at the tokenizer's rate and device, and whether any had to be resampled."""
        items, resampled = split_clips(audio, sample_rate, num_samples, self.spec)
        return [item.to(self.device) for item in items], resampled

    def _tokens(self, codes: list[Tensor], num_samples: list[int], k: int, provenance: dict[str, str]) -> Tokens:
        return tokens_of(codes, num_samples, self.spec.select(k), self.fingerprint, provenance, self.device)

    def _with_extras(
        self, encoded: list[Encoded], num_samples: list[int], k: int, provenance: dict[str, str]
    ) -> Tokens:
        tokens = self._tokens([item.codes for item in encoded], num_samples, k, provenance)
        extras = extras_of(encoded)
        return dataclasses.replace(tokens, extras=extras) if extras else tokens

    def _checked(self, tokens: Tokens) -> Tokens:
        tokens.require_compatible(self.spec, self.fingerprint)
        if tokens.depth is not None and not self.takes_depth:
            raise TokensError(one_line(self.spec.name, "decodes no variable depth", "use all codebooks at every frame"))
        return tokens

    def no_decoder(self) -> TokensError:
        """Return the error that says that there is no decoder, where `decodes` is false, and what to use instead."""
        remedy = "decode with the model that was trained on these tokens"
        return TokensError(one_line(self.spec.name, "turns sound into tokens only", remedy))

    def _coding_state(self) -> dict[str, Tensor]:
        """Return the tensors that tokens belong to, by name."""
        return self.state_dict()

    def _no_codes(self, k: int) -> Tensor:
        return torch.zeros(k, 0, dtype=torch.int64, device=self.device)

    def _no_features(self) -> Tensor:
        return torch.zeros(0, self.codebooks()[0].shape[1], dtype=torch.float32, device=self.device)

    def _require_float32(self) -> None:
        wrong = {str(p.dtype) for p in self.parameters() if p.is_floating_point() and p.dtype != torch.float32}
        if wrong:
            raise CheckpointError(
                f"{self.spec.name}: weights are {', '.join(sorted(wrong))}, which would change the codes; "
                "call .float() first"
            )

    def forward(self, audio: Any, sample_rate: int | None = None) -> Tokens:
        """Encode; so that the tokenizer can be called."""
        return self.encode(audio, sample_rate)
