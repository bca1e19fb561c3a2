"""Weight norm comes and goes without a trace, and trains."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.near import assert_near
from tests.tokenizers.test_codec import toy
from tokaudio.nn.conv import Conv1d, ConvTranspose1d
from tokaudio.nn.stages import Sequence
from tokaudio.nn.weight_norm import add_weight_norm, fold_weight_norm, folded_state


def network() -> Sequence:
    torch.manual_seed(0)
    return Sequence(Conv1d(2, 6, 5, padding=(2, 2)), torch.nn.ELU(), ConvTranspose1d(6, 1, 4, stride=2))


def test_nothing_changes_but_the_parameters() -> None:
    net, x = network(), torch.randn(1, 2, 30)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    wanted = net(x)
    assert add_weight_norm(net) == 2
    assert add_weight_norm(net) == 0
    assert_near(net(x), wanted)
    with torch.no_grad():
        assert_near(net.stage()(x[0].T, last=True).T, wanted[0])
    assert fold_weight_norm(net) == 2
    assert fold_weight_norm(net) == 0
    assert before.keys() == net.state_dict().keys()
    assert all(torch.allclose(before[name], value, atol=1e-6) for name, value in net.state_dict().items())


def test_lengths_are_one_per_output_channel_or_input_channel() -> None:
    net = network()
    add_weight_norm(net)
    lengths = [value.shape for name, value in net.named_parameters() if name.endswith("original0")]
    assert lengths == [(6, 1, 1), (6, 1, 1)]


def test_lengths_and_directions_learn() -> None:
    net = network()
    add_weight_norm(net)
    net(torch.randn(1, 2, 30)).square().sum().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in net.parameters())


def test_what_is_saved_is_folded(tmp_path: Path) -> None:
    codec = toy()
    add_weight_norm(codec)
    from safetensors.torch import load_file

    saved = load_file(codec.save_pretrained(tmp_path / "toy") / "model.safetensors")
    assert saved.keys() == toy().state_dict().keys()
    assert_near(saved["encoder.0.weight"].float(), toy().state_dict()["encoder.0.weight"])


def test_the_folded_state_is_that_of_a_folded_copy() -> None:
    net, plain = network(), network()
    add_weight_norm(net)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.mul_(3.0 if name.endswith("original1") else 1.3)
    names = sorted(net.state_dict())
    plain.load_state_dict(folded_state(net))
    x = torch.randn(1, 2, 30)
    assert_near(plain(x), net(x))
    assert sorted(net.state_dict()) == names and sorted(folded_state(plain)) == sorted(plain.state_dict())
