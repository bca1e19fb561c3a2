"""Words that survive a tokenizer: what is read, and how it is reported."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from evaluation_sets import Clip
from numpy.typing import NDArray
from semantic_vocoder import error_rates, report, speaker

from tests.near import assert_near
from tokaudio import Tokenizer


class Judge:
    """Reads as many words as a sound has samples."""

    def transcribe(self, audios: Sequence[NDArray[np.float32]]) -> Iterator[str]:
        return iter(" ".join(["word"] * len(audio)) for audio in audios)


def test_misread_words_are_counted() -> None:
    clips = [
        Clip("a", "read", "Word word!", np.zeros(2, np.float32)),
        Clip("b", "read", "word", np.zeros(1, np.float32)),
    ]
    rates = error_rates({"same": lambda x: x, "longer": lambda x: np.append(x, x[:1])}, clips, Judge())
    assert rates == {"same": 0.0, "longer": 2 / 3}
    text = report({"here": rates}, {"here": 2})
    assert "| here | 2 | same | 0.0 % |" in text and "| here | 2 | longer | 66.7 % |" in text


def test_sound_is_encoded_and_decoded_with_some_codebooks() -> None:
    tokenizer = Tokenizer.from_pretrained("mini-codec")
    sound = 0.1 * torch.randn(1_000, generator=torch.Generator().manual_seed(0))
    wanted = tokenizer.decode(tokenizer.encode(sound, 16_000, num_codebooks=2))[0, 0]
    assert_near(torch.from_numpy(speaker(tokenizer, 2)(sound.numpy())), wanted)
