"""Codecs of known networks with any quantizer: every promise, and configurations that do not fit."""

from pathlib import Path

import pytest
import torch

from tokaudio import Tokenizer
from tokaudio.errors import CheckpointError, UnknownNameError
from tokaudio.nn.seanet import SEANet
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.trained_codec import DacNetwork, TrainedCodec

NETWORKS = {
    "seanet": SEANet(filters=4, dimension=8, ratios=(5, 4, 2), causal=True, lstm_layers=1),
    "dac": DacNetwork(encoder_dim=4, encoder_rates=(2, 4, 5), latent_dim=8, decoder_dim=16),
}
QUANTIZERS = {
    "rvq": {"codebook_size": 16, "num_codebooks": 3},
    "fsq": {"levels": [5, 5, 5]},
    "factorized": {"codebook_size": 16, "codebook_dim": 4, "num_codebooks": 2, "strides": [2, 1]},
}


def made(network: str, quantizer: str = "rvq") -> TrainedCodec:
    torch.manual_seed(0)
    options = QUANTIZERS[quantizer]
    books = (CodebookSpec(125),) if quantizer == "fsq" else (CodebookSpec(16),) * options["num_codebooks"]
    if "strides" in options:
        books = (CodebookSpec(16, stride=2), CodebookSpec(16))
    chunking = "state" if network == "seanet" else "exact"
    spec = TokenizerSpec("tiny", "compression", 2_000, 40, books, causal=network == "seanet", chunking=chunking)
    codec = TrainedCodec(spec, NETWORKS[network], quantizer, options).eval().requires_grad_(False)
    gain = 1.5 if network == "seanet" else 0.7
    for value in (*codec.encoder.parameters(), *codec.decoder.parameters()):
        if value.ndim > 1:
            torch.nn.init.normal_(value, std=gain / value[0].numel() ** 0.5)
    latents = codec.features(0.3 * torch.randn(8_000))[0].T
    codec.quantizer.initialise(latents)
    return codec


def test_it_keeps_every_promise():
    # SEANet's networks keep them in EnCodec, which has the same assembly.
    assert check_tokenizer(made("dac", "fsq"), longest=2.1).laws


@pytest.mark.parametrize("quantizer", ["rvq", "fsq", "factorized"])
@pytest.mark.parametrize("network", ["seanet", "dac"])
def test_any_quantizer_saves_and_loads_with_equal_codes(network: str, quantizer: str, tmp_path: Path):
    codec = made(network, quantizer)
    codec.save_pretrained(tmp_path / "tiny")
    loaded = Tokenizer.from_pretrained(tmp_path / "tiny")
    assert isinstance(loaded, TrainedCodec) and loaded.fingerprint == codec.fingerprint
    assert loaded.network == codec.network and loaded.quantizer_name == quantizer
    sound = 0.3 * torch.randn(5_003)
    tokens, again = codec.encode(sound), loaded.encode(sound)
    assert torch.equal(tokens.codes, again.codes) and tokens.codes.unique().numel() > 1
    assert torch.equal(codec.decode(tokens), loaded.decode(again)) and codec.decode(tokens).shape[-1] == 5_003


def test_sizes_of_dac_fill_each_other_in():
    network = DacNetwork(encoder_dim=4, encoder_rates=[2, 5], decoder_dim=16)
    assert (network.decoder_rates, network.dimension, network.hop_length) == ((5, 2), 16, 10)
    assert network.decoder()(network.encoder()(torch.zeros(1, 1, 70))).shape == (1, 1, 70)
    for wrong, problem in (
        ({"encoder_rates": ()}, "whole numbers above 0"),
        ({"encoder_dim": 0}, "whole numbers above 0"),
        ({"decoder_rates": (2, 4)}, "multiply to 320 and 8"),
        ({"decoder_dim": 24}, "a multiple of 16, got 24"),
    ):
        with pytest.raises(ValueError, match=problem):
            DacNetwork(**wrong)


def test_configurations_that_do_not_fit_are_refused():
    config = {**made("dac").config(), "spec": made("dac").spec.to_dict()}
    assert TrainedCodec.from_config(config).network == NETWORKS["dac"]
    for change in (
        {"network": {"name": "unet"}},
        {"network": {"name": "dac", "width": 4}},
        {"network": {**config["network"], "encoder_rates": [2, 2]}},
        {"network": {"name": "seanet", "ratios": [5, 4, 2], "norm": "group"}},
        {"quantizer": {"name": "rvq", "codebook_size": 8, "num_codebooks": 3}},
        {"quantizer": {"codebook_size": 8}},
        {"spec": {}},
    ):
        with pytest.raises(CheckpointError):
            TrainedCodec.from_config(config | change)
    with pytest.raises(UnknownNameError):
        TrainedCodec.from_config(config | {"quantizer": {"name": "none"}})
