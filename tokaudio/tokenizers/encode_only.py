"""Tokenizers whose decoder is another model, or was never published: sound becomes tokens, and no sound comes back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NoReturn

from torch import Tensor

from tokaudio.errors import TokensError, one_line
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokenizers.streams import Refusing, Stream, Streaming
from tokaudio.tokens import Tokens


class EncodeOnly(Tokenizer):
    """A tokenizer that encodes only; whatever would decode refuses in one line.

    Attributes:
        use_instead: what turns its tokens into sound, for the message: the imperative after a semicolon.
    """

    decodes = False
    use_instead: ClassVar[str] = "decode with the model that was trained on these tokens"

    @abstractmethod
    def _encoder_stream(self, num_codebooks: int) -> Stream:
        """Return a fresh stream from samples `[C, n]` to codes `[k, m]`."""

    def no_decoder(self) -> TokensError:
        """Return the error that says that there is no decoder, and what to use instead."""
        return TokensError(one_line(self.spec.name, "turns sound into tokens only", self.use_instead))

    def decode(self, tokens: Tokens) -> NoReturn:
        """Refuse.

        Raises:
            TokensError: always: if the tokens are not another tokenizer's, because there is no decoder.
        """
        self._checked(tokens)
        raise self.no_decoder()

    def decode_blocks(self, tokens: Tokens, *, block_frames: int = 1000) -> Iterator[Tensor]:
        """Refuse, as `decode` does."""
        self.decode(tokens)

    def _decode(self, codes: Tensor, num_samples: int) -> NoReturn:
        raise self.no_decoder()

    def _streaming(self, num_codebooks: int) -> Streaming:
        return Streaming(self._encoder_stream(num_codebooks), Refusing(self.no_decoder))
