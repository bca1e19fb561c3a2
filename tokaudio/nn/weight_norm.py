"""Weight normalization (arXiv:1602.07868) for fine-tuning: published codecs were trained with it.

Tokenizers are loaded with it folded into plain weights, which changes nothing but speed. To train on as their authors
did, put it back; what is saved is folded again.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from tokaudio.nn.conv import Conv1d, ConvTranspose1d


def add_weight_norm(module: nn.Module) -> int:
    """Train the convolutions of a module as direction and length from now on, and return how many there are.

    Directions begin with the length of the weights, whatever length they had when the weights were published.

    Example:
        >>> network = nn.Sequential(Conv1d(2, 3, 5), nn.ReLU(), Conv1d(3, 1, 1))
        >>> add_weight_norm(network), sorted(name for name, _ in network[2].named_parameters())
        (2, ['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1'])
    """
    plain = [conv for conv in _convolutions(module) if not parametrize.is_parametrized(conv, "weight")]
    for conv in plain:
        parametrizations.weight_norm(conv)
    return len(plain)


def fold_weight_norm(module: nn.Module) -> int:
    """Make the normalized convolutions of a module plain again, and return how many there were.

    Example:
        >>> network = nn.Sequential(Conv1d(2, 3, 5))
        >>> add_weight_norm(network), fold_weight_norm(network), sorted(network.state_dict())
        (1, 1, ['0.bias', '0.weight'])
    """
    normalized = [conv for conv in _convolutions(module) if parametrize.is_parametrized(conv, "weight")]
    for conv in normalized:
        parametrize.remove_parametrizations(conv, "weight")
    return len(normalized)


def folded_state(module: nn.Module) -> dict[str, Tensor]:
    """Return the state dict that a module would have with its weight norm folded; the module stays as it is.

    Example:
        >>> network = nn.Sequential(Conv1d(2, 3, 5))
        >>> add_weight_norm(network), sorted(folded_state(network))
        (1, ['0.bias', '0.weight'])
    """
    state = {
        name: value for name, value in module.state_dict().items() if ".parametrizations.weight." not in f".{name}"
    }
    for name, part in module.named_modules():
        if isinstance(part, (Conv1d, ConvTranspose1d)) and parametrize.is_parametrized(part, "weight"):
            state[f"{name}.weight" if name else "weight"] = part.weight.detach()
    return state


def _convolutions(module: nn.Module) -> list[nn.Module]:
    return [part for part in module.modules() if isinstance(part, (Conv1d, ConvTranspose1d))]
