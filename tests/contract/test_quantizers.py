"""Every quantizer keeps every promise, in every variant that it has, before and after training."""

import pytest
import torch

from tokaudio.quantizers import list_quantizers, make_quantizer
from tokaudio.testing import check_quantizer

FACTORISED = {"codebook_dim": 4}
VARIANTS = {
    "vq euclidean": ("vq", {"dim": 8, "codebook_size": 32}),
    "vq odd size": ("vq", {"dim": 8, "codebook_size": 33, **FACTORISED}),
    "vq one dimension": ("vq", {"dim": 1, "codebook_size": 5}),
    "vq of DAC": ("vq", {"dim": 8, "codebook_size": 32, "metric": "cosine", "learning": "gradient", **FACTORISED}),
    "rvq euclidean": ("rvq", {"dim": 8, "codebook_size": 32, "num_codebooks": 4, "dropout": 0.5}),
    "rvq cosine": ("rvq", {"dim": 8, "codebook_size": 32, "num_codebooks": 3, "metric": "cosine"}),
    "rvq gradient": ("rvq", {"dim": 8, "codebook_size": 32, "num_codebooks": 3, "learning": "gradient"}),
    "rvq factorised": ("rvq", {"dim": 8, "codebook_size": 32, "num_codebooks": 3, **FACTORISED}),
    "rvq of DAC": (
        "rvq",
        {
            "dim": 8,
            "codebook_size": 32,
            "num_codebooks": 3,
            "metric": "cosine",
            "learning": "gradient",
            "dropout": 0.5,
            **FACTORISED,
        },
    ),
    "factorized": ("factorized", {"dim": 8, "codebook_size": 32, "num_codebooks": 3, "codebook_dim": 4}),
    "factorized with strides": (
        "factorized",
        {"dim": 8, "codebook_size": 33, "num_codebooks": 3, "codebook_dim": 4, "strides": (4, 2, 1), "dropout": 0.5},
    ),
    "split": ("split", {"dim": 8, "codebook_size": 32, "num_codebooks": 4, "dropout": 0.5}),
    "split of Mimi": ("split", {"dim": 8, "codebook_size": 32, "num_codebooks": 3, **FACTORISED}),
    "split two semantic": (
        "split",
        {"dim": 8, "codebook_size": 33, "num_codebooks": 4, "num_semantic": 2, "learning": "gradient", **FACTORISED},
    ),
    "vq rotation": ("vq", {"dim": 8, "codebook_size": 32, "gradient": "rotation"}),
    "simvq": ("simvq", {"dim": 8, "codebook_size": 33}),
    "simvq factorised": ("simvq", {"dim": 8, "codebook_size": 32, "gradient": "rotation", **FACTORISED}),
    "kmeans": ("kmeans", {"dim": 8, "codebook_size": 33}),
    "kmeans of layers": ("kmeans", {"dim": 24, "codebook_size": 32, "parts": 3}),
    "kmeans of layers, residual": ("kmeans", {"dim": 16, "codebook_size": 33, "parts": 2, "stages": 2}),
    "fsq": ("fsq", {"dim": 3, "levels": (8, 5, 5)}),
    "fsq projected": ("fsq", {"dim": 8, "levels": (4, 4, 3)}),
    "fsq of 2^16 codes": ("fsq", {"dim": 8, "levels": (4,) * 8}),
}


# One codebook in the latents' own space.
IDEMPOTENT = {"vq euclidean", "vq one dimension", "vq rotation", "simvq", "kmeans"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_untrained_quantizer_keeps_every_promise(variant: str):
    torch.manual_seed(0)
    report = check_quantizer(make_quantizer(*VARIANTS[variant]))
    ties = next(law for law in report.laws if law.name == "ties")
    assert (ties.cases > 0) == (not variant.startswith("fsq")), "it applies to quantizers with tables"


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_trained_quantizer_keeps_every_promise(variant: str):
    torch.manual_seed(0)
    quantizer = make_quantizer(*VARIANTS[variant]).train()
    for _ in range(3):
        quantizer(torch.randn(4, quantizer.dim, 50))
    check_quantizer(quantizer, seed=1, idempotent=variant in IDEMPOTENT)


def test_every_quantizer_has_variants_here():
    assert {name for name, _ in VARIANTS.values()} == set(list_quantizers())
