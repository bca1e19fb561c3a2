"""Fingerprints name weights: the same for the same, another for any change."""

import hashlib

import torch

from tokaudio.tokenizers.fingerprint import fingerprint_of

WEIGHTS = {"b": torch.arange(6.0).view(2, 3), "a": torch.zeros(2)}


def test_it_is_a_sha256_over_names_types_shapes_and_values():
    text = b"a\0torch.float32\0[2]\0" + bytes(8)
    text += b"b\0torch.float32\0[2, 3]\0" + WEIGHTS["b"].numpy().astype("<f4").tobytes()
    assert fingerprint_of(WEIGHTS) == hashlib.sha256(text).hexdigest()[:16]


def test_order_layout_and_gradients_do_not_matter():
    wanted = fingerprint_of(WEIGHTS)
    turned = WEIGHTS["b"].T.contiguous().T
    assert not turned.is_contiguous()
    assert fingerprint_of({"a": torch.zeros(2, requires_grad=True), "b": turned}) == wanted


def test_every_change_matters():
    nudged = WEIGHTS["b"].clone()
    nudged[1, 2] = torch.nextafter(nudged[1, 2], torch.tensor(9.0))
    others = [
        {"b": WEIGHTS["b"]},
        {**WEIGHTS, "b": nudged},
        {**WEIGHTS, "b": WEIGHTS["b"].double()},
        {**WEIGHTS, "b": WEIGHTS["b"].view(3, 2)},
        {"c": WEIGHTS["b"], "a": WEIGHTS["a"]},
        {**WEIGHTS, "a": torch.tensor([0.0, -0.0])},
    ]
    assert len({fingerprint_of(weights) for weights in [WEIGHTS, *others]}) == 7
