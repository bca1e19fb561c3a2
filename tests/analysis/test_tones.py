"""The toy of these tests is a tokenizer: what streams is what is encoded and decoded as a whole."""

from __future__ import annotations

import torch

from tests.analysis.tones import RATE, ToneTokenizer, random_melody


def test_pieces_give_what_the_whole_gives() -> None:
    codec, sound = ToneTokenizer(), random_melody(3)[:-77]
    whole = codec.encode(sound, RATE)
    streaming = codec.streaming()
    pieces = [streaming.encoder.push(piece) for piece in sound[None].split(301, dim=1)]
    codes = torch.cat([*pieces, streaming.encoder.flush()], dim=1)
    assert torch.equal(codes, whole.codes[0]) and streaming.encoder.pushed == len(sound)
    heard = torch.cat([*(streaming.decoder.push(codes[:, at : at + 7]) for at in range(0, codes.shape[1], 7))], dim=1)
    assert torch.equal(heard[:, : len(sound)], codec.decode(whole)[0]) and not streaming.decoder.flush().shape[1]
