"""Tokenizers without a decoder: every way to sound refuses in one line, and the conformance kit knows them."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.tokenizers.conftest import make_codec
from tokaudio import Tokenizer
from tokaudio.audio.chunk import TileStream
from tokaudio.errors import TokensError
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.encode_only import EncodeOnly
from tokaudio.tokenizers.streams import Refusing
from tokaudio.tokens import Tokens


class Half(EncodeOnly):
    """The encoder of the tiny codec."""

    use_instead = "ask somebody else"

    def __init__(self) -> None:
        super().__init__(TokenizerSpec("half", "semantic", 4_000, 80, (CodebookSpec(16),) * 3, chunking="exact"))
        self.whole = make_codec()

    def config(self) -> dict[str, Any]:
        return self.whole.config()

    def codebooks(self) -> list[Tensor]:
        return self.whole.codebooks()

    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        return self.whole._encode(samples, num_codebooks)

    def _features(self, samples: Tensor) -> Tensor:
        return self.whole._features(samples)

    def _embed(self, codes: Tensor) -> Tensor:
        return self.whole._embed(codes)

    def _encoder_stream(self, num_codebooks: int) -> TileStream:
        stream = self.whole._streaming(num_codebooks).encoder
        assert isinstance(stream, TileStream)
        return stream


class Mute(Half):
    """Decodes to silence where it should refuse."""

    def decode(self, tokens: Tokens) -> Any:
        self._checked(tokens)
        return torch.zeros(len(tokens), 1, int(tokens.num_samples.max()))


# Laws that need no class that a fresh process could load.
WITHOUT_FILES = [
    "rerun",
    "threads",
    "batch composition",
    "right padding",
    "streaming encode",
    "encode_blocks",
    "streaming decode",
    "decode_blocks",
    "interleaved streams",
    "prefix",
    "vectors",
    "modes",
    "foreign tokens",
    "bad input",
    "hard sounds",
]


def test_the_kit_takes_an_encoder_for_what_it_is():
    report = check_tokenizer(Half().eval(), only=WITHOUT_FILES, longest=3)
    cases = {law.name: law.cases for law in report.laws}
    assert {name for name, count in cases.items() if not count} == {"streaming decode"}
    assert cases["decode_blocks"] == 4


def test_the_kit_catches_an_encoder_that_pretends_to_decode():
    report = check_tokenizer(Mute().eval(), only=["decode_blocks"], longest=3, raises=False)
    assert [law.problem for law in report.broken] == ["decoding without a decoder: was not refused"]


def test_everything_that_decodes_refuses():
    half = Half().eval()
    tokens, streaming = half.encode(torch.zeros(4_000)), half.streaming()
    assert (Tokenizer.decodes, half.decodes) == (True, False)
    for action in (
        lambda: half.decode(tokens),
        lambda: half.decode_blocks(tokens, block_frames=3),
        lambda: half._decode(tokens.codes[0], 5),
        lambda: streaming.decoder.push(tokens.codes[0]),
        streaming.decoder.flush,
    ):
        with pytest.raises(TokensError, match=r"^half: turns sound into tokens only; ask somebody else$"):
            action()


def test_tokens_of_others_are_named_first():
    half = Half().eval()
    foreign = make_codec().encode(torch.zeros(4_000))
    with pytest.raises(TokensError, match="tiny"):
        half.decode(foreign)


def test_a_stream_that_refuses_has_seen_nothing():
    stream = Refusing(lambda: KeyError("no"))
    with pytest.raises(KeyError, match="no"):
        stream.push(torch.zeros(1, 3))
    assert stream.pushed == 0
