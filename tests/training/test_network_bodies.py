"""SEANet and DAC as bodies: gradients everywhere, weight norm that comes and goes, and codecs that say the same."""

from pathlib import Path

import pytest
import torch

from tests.near import assert_near
from tokaudio import Tokenizer
from tokaudio.errors import CheckpointError
from tokaudio.training.bodies import About, Body, QuantizerChoice, make_body

SIZES = {
    "seanet": {"filters": 4, "dimension": 8, "ratios": [5, 4, 2], "causal": True, "lstm_layers": 1},
    "dac": {"encoder_dim": 4, "encoder_rates": [2, 4, 5], "latent_dim": 8, "decoder_dim": 16},
}
CHOICES = {
    "rvq": QuantizerChoice("rvq", {"codebook_size": 16, "num_codebooks": 3}),
    "fsq": QuantizerChoice("fsq", {"levels": [5, 5, 5]}),
}


def made(name: str, **options: object) -> Body:
    torch.manual_seed(0)
    return make_body(name, {"sample_rate": 4_000, **SIZES[name], **options})


def sound(frames: int = 20) -> torch.Tensor:
    return 0.3 * torch.randn(2, frames * 40, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("weight_norm", [False, True])
def test_lengths_and_gradients(name: str, weight_norm: bool):
    body = made(name, weight_norm=weight_norm)
    latents = body.encode(sound())
    assert latents.shape == (2, 8, 20) and (body.hop_length, body.dim, body.sample_rate) == (40, 8, 4_000)
    signal = body.decode(latents)
    assert signal.shape == (2, 800) and signal.dtype == torch.float32
    signal.square().mean().backward()
    for parameter_name, parameter in body.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.any()), parameter_name
    assert any("original0" in parameter_name for parameter_name, _ in body.named_parameters()) == weight_norm


@pytest.mark.parametrize("name", SIZES)
def test_a_few_steps_lower_the_error(name: str):
    body, quantizer = made(name), CHOICES["rvq"].make(8)
    quantizer.initialise(body.encode(sound()).detach().transpose(1, 2).flatten(0, 1))
    optimizer = torch.optim.Adam([*body.parameters(), *quantizer.parameters()], lr=5e-3)
    time = torch.arange(400) / 4_000
    target = (0.3 * torch.sin(6.283 * 200 * time))[None]
    errors = []
    for _ in range(25):
        optimizer.zero_grad()
        out = quantizer(body.encode(target))
        error = (body.decode(out.quantized) - target).square().mean()
        (error + out.loss).backward()
        optimizer.step()
        errors.append(float(error.detach()))
    assert min(errors[-5:]) < 0.8 * errors[0]


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("choice", CHOICES)
def test_the_tokenizer_computes_what_the_body_does(name: str, choice: str, tmp_path: Path):
    body, quantizer = made(name, weight_norm=True), CHOICES[choice].make(8)
    optimizer = torch.optim.SGD(body.parameters(), lr=0.1)
    body.decode(body.encode(sound())).square().mean().backward()
    optimizer.step()
    quantizer.initialise(body.encode(sound()).detach().transpose(1, 2).flatten(0, 1))
    tokenizer = body.tokenizer(quantizer, CHOICES[choice], About("tiny", licence="cc0-1.0"))
    tokenizer.save_pretrained(tmp_path / "tiny")
    loaded = Tokenizer.from_pretrained(tmp_path / "tiny")
    heard = sound()[0]
    tokens = tokenizer.encode(heard)
    assert torch.equal(loaded.encode(heard).codes, tokens.codes) and loaded.fingerprint == tokenizer.fingerprint
    assert_near(loaded.features(heard)[0], body.encode(heard[None])[0])
    vectors = quantizer.eval().decode(tokens.codes)
    assert_near(loaded.decode(tokens)[0, 0], body.decode(vectors)[0])
    assert loaded.spec.causal == (name == "seanet") and loaded.spec.chunking == (
        "state" if name == "seanet" else "exact"
    )
    assert loaded.spec.licence == "cc0-1.0"
    assert any("original0" in parameter_name for parameter_name, _ in body.named_parameters()), "the body is as it was"


@pytest.mark.parametrize("name", SIZES)
def test_a_body_starts_from_a_tokenizer_with_or_without_weight_norm(name: str):
    source = made(name)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.mul_(1.1)
    tokenizer = source.tokenizer(CHOICES["rvq"].make(8), CHOICES["rvq"], About("tiny"))
    for weight_norm in (False, True):
        body = made(name, weight_norm=weight_norm)
        body.start_from(tokenizer)
        assert_near(body.encode(sound()), source.encode(sound()))
    with pytest.raises(CheckpointError, match="tiny: its encoder has other sizes"):
        smaller = {"seanet": {"filters": 2}, "dac": {"encoder_dim": 2}}[name]
        made(name, weight_norm=True, **smaller).start_from(tokenizer)


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("seanet", {"ratios": []}, "ratios must be 1 to 16 numbers"),
        ("seanet", {"norm": "group"}, "group norm and several channels cannot be trained"),
        ("seanet", {"channels": 2}, "group norm and several channels cannot be trained"),
        ("dac", {"decoder_dim": 10}, "decoder_dim must be a multiple of 8, got 10"),
        ("dac", {"rates": [2]}, "it has no option 'rates'"),
    ],
)
def test_options_that_cannot_be_are_refused(name: str, options: dict[str, object], problem: str):
    with pytest.raises(CheckpointError, match=problem):
        made(name, **options)


@pytest.mark.parametrize("name", SIZES)
def test_they_train_under_autocast(name: str):
    body = made(name, weight_norm=True)
    with torch.autocast("cpu", torch.bfloat16):
        signal = body.decode(body.encode(sound()))
    assert signal.dtype == torch.float32
    signal.square().mean().backward()
    assert all(bool(torch.isfinite(parameter.grad).all()) for parameter in body.parameters())
