"""From streams to `Tokens`: collecting, padding, side information."""

import torch

from tokaudio.audio.blocks import BlockStream
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.pieces import Collector, Encoded, extras_of, item_extras, joined, padded, results
from tokaudio.tokens import Tokens


def test_what_is_taken_is_gone() -> None:
    collector = Collector(BlockStream(lambda block, last: block, 1, 2, torch.zeros(1, 0)))
    collector.push(torch.arange(5.0)[None])
    assert collector.frames == 4
    assert collector.take().codes.tolist() == [[0, 1, 2, 3]] and collector.frames == 0
    collector.flush()
    assert collector.take().codes.tolist() == [[4]]


def test_side_information_of_frames_is_joined_and_that_of_items_kept() -> None:
    stream = BlockStream(lambda block, last: block, 1, 2, torch.zeros(1, 0))
    collector = Collector(stream)
    for number in range(2):
        stream.extras = {"frame_x": torch.full((2,), float(number)), "item_y": torch.tensor(number)}
        collector.push(torch.zeros(1, 3))
    found = collector.take().extras
    assert found["frame_x"].tolist() == [0, 0, 1, 1] and int(found["item_y"]) == 1


def test_batches_are_padded_with_zeros() -> None:
    items = [
        Encoded(torch.ones(2, n), {"frame_x": torch.ones(n, 3), "item_y": torch.tensor([float(n)])}) for n in (2, 0, 4)
    ]
    codes, extras = padded([item.codes for item in items], 1), extras_of(items)
    assert codes.shape == (3, 2, 4) and codes.sum(dim=(1, 2)).tolist() == [4, 0, 8]
    assert extras["frame_x"].shape == (3, 4, 3) and extras["frame_x"].sum(dim=(1, 2)).tolist() == [6, 0, 12]
    assert extras["item_y"].tolist() == [[2], [0], [4]]
    assert extras_of([]) == {}


def test_side_information_of_one_item() -> None:
    spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
    facts = torch.zeros(2, 1, 3, dtype=torch.int64), torch.tensor([3, 3]), torch.tensor([960, 960]), spec
    tokens = Tokens(*facts, extras={"frame_x": torch.arange(6.0).view(2, 3), "item_y": torch.tensor([5.0, 6.0])})
    found = item_extras(tokens[1], slice(1, 9), torch.device("cpu"))
    assert found["frame_x"].tolist() == [4, 5] and float(found["item_y"]) == 6


def test_results_are_all_that_a_stream_gives() -> None:
    stream = BlockStream(lambda block, last: -block, 1, 4, torch.zeros(1, 0))
    ready = list(results(stream, torch.arange(11.0)[None].split(5, dim=1)))
    assert [piece.shape[1] for piece in ready] == [0, 8, 0, 3]
    assert torch.equal(torch.cat(ready, dim=1), -torch.arange(11.0)[None])


def test_sound_is_as_long_as_it_is_to_be() -> None:
    pieces = [torch.full((2, n), float(n)) for n in (3, 0, 2)]
    device = torch.device("cpu")
    assert joined(pieces, 2, 4, device).tolist() == [[3, 3, 3, 2]] * 2
    assert joined(pieces, 2, 7, device).tolist() == [[3, 3, 3, 2, 2, 0, 0]] * 2
    assert joined([], 1, 0, device).shape == (1, 0)
    assert joined(iter(pieces), 2, 2, device).tolist() == [[3, 3]] * 2
