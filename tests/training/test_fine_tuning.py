"""Training on from weights that exist: nothing changes until something is learned."""

from pathlib import Path

import pytest
import torch

from tests.tokenizers.families import test_bigcodec as bigcodec
from tests.tokenizers.families import test_dac as dac
from tests.tokenizers.families import test_encodec as encodec
from tests.tokenizers.test_trained_codec import made as trained
from tokaudio import Tokenizer
from tokaudio.errors import CheckpointError
from tokaudio.training.bodies import QuantizerChoice
from tokaudio.training.fine_tuning import fine_tune


def mini() -> Tokenizer:
    return Tokenizer.from_pretrained("mini-codec")


def noise(samples: int) -> torch.Tensor:
    return 0.3 * torch.randn(samples, generator=torch.Generator().manual_seed(0))


MAKERS = {
    "mini-codec": mini,
    "EnCodec": encodec.make,
    "EnCodec centred": lambda: encodec.make(encodec.CENTRED),
    "DAC": dac.make,
    "trained seanet": lambda: trained("seanet"),
    "trained dac": lambda: trained("dac", "fsq"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_before_the_first_step_the_codes_are_equal(name: str, tmp_path: Path):
    tokenizer = MAKERS[name]()
    fine_tune(tokenizer).tokenizer("copy").save_pretrained(tmp_path / "copy")
    copied = Tokenizer.from_pretrained(tmp_path / "copy")
    sound = noise(3 * tokenizer.spec.sample_rate // 2 + 7)
    tokens, again = tokenizer.encode(sound), copied.encode(sound)
    assert torch.equal(tokens.codes, again.codes)
    wanted, found = tokenizer.decode(tokens), copied.decode(again)
    # DAC itself has no samples at the very end where a stride is odd.
    inner = wanted.shape[-1] - 200
    assert torch.allclose(found[..., :inner], wanted[..., :inner], atol=1e-5) and found.shape == wanted.shape
    assert copied.spec.name == "copy" and tokenizer.spec.name in copied.spec.origin


@pytest.mark.parametrize("layout", ["descript", "transformers"])
def test_published_files_are_trained_on(layout: str, tmp_path: Path):
    published = Tokenizer.from_pretrained(dac.publish(tmp_path / "published", layout, dac.make()))
    start = fine_tune(published, weight_norm=True)
    assert all(parameter.requires_grad for parameter in start.body.parameters()) and start.body.training
    before = {name: value.clone() for name, value in start.quantizer.state_dict().items()}
    optimizer = torch.optim.Adam([*start.body.parameters(), *start.quantizer.parameters()], lr=1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        signal = noise(400)[None]
        out = start.quantizer(start.body.encode(signal))
        ((start.body.decode(out.quantized) - signal).square().mean() + out.loss).backward()
        optimizer.step()
    assert any(not torch.equal(value, before[name]) for name, value in start.quantizer.state_dict().items())
    start.tokenizer("mine", origin="a test").save_pretrained(tmp_path / "mine")
    mine = Tokenizer.from_pretrained(tmp_path / "mine")
    sound = noise(4_000)
    assert torch.equal(mine.encode(sound).codes, start.tokenizer("mine").encode(sound).codes)
    assert mine.spec.origin == "a test" and mine.fingerprint != published.fingerprint


def test_a_codebook_that_is_kept_goes_on_from_where_it_is():
    start = fine_tune(encodec.make())
    before = start.quantizer.codebook(0).clone()
    start.quantizer.train()(start.body.encode(noise(8_000)[None]).detach())
    moved = (start.quantizer.codebook(0) - before).norm() / before.norm()
    assert 0 < float(moved) < 0.2


def test_the_quantizer_may_be_replaced():
    tokenizer = mini()
    start = fine_tune(tokenizer, quantizer=QuantizerChoice("fsq", {"levels": [8, 5, 5, 5]}))
    made = start.tokenizer("mine")
    assert made.spec.codebook_sizes == (1000,)
    sound = noise(3_200)
    assert torch.equal(made.features(sound), tokenizer.features(sound))


def test_what_cannot_be_trained_on_is_refused():
    with pytest.raises(CheckpointError, match="EnCodec cannot be trained on in several channels or segments"):
        fine_tune(encodec.make(encodec.STEREO))
    with pytest.raises(CheckpointError, match="leave weight_norm out"):
        fine_tune(mini(), weight_norm=True)
    with pytest.raises(CheckpointError, match="BigCodec cannot be trained on; give a spectral codec"):
        fine_tune(bigcodec.make())
