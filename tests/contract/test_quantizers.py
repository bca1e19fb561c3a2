"""Every quantizer keeps every promise, in every variant that it has, before and after training."""

import pytest
import torch

from tokaudio.quantizers import list_quantizers, make_quantizer
from tokaudio.testing import check_quantizer

FACTORISED = {"codebook_dim": 4}
TABLE = {"codebook_size": 33}
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
    "residual": ("residual", {"dim": 8, "num_codebooks": 3, "inner_options": TABLE, "dropout": 0.5}),
    "residual shared": (
        "residual",
        {"dim": 8, "num_codebooks": 3, "inner_options": TABLE, "shared": True, "shrink": 0.5},
    ),
    "residual simvq": ("residual", {"dim": 8, "num_codebooks": 3, "inner": "simvq", "inner_options": TABLE}),
    "residual fsq": (
        "residual",
        {"dim": 8, "num_codebooks": 3, "inner": "fsq", "inner_options": {"levels": (4, 4, 3)}, "dropout": 0.5},
    ),
    "residual factorized": (
        "residual",
        {
            "dim": 8,
            "num_codebooks": 3,
            "inner": "factorized",
            "inner_options": {**TABLE, **FACTORISED, "num_codebooks": 1},
            "dropout": 0.5,
        },
    ),
    "residual lfq": (
        "residual",
        {"dim": 6, "num_codebooks": 3, "inner": "lfq", "shrink": 0.5, "dropout": 0.5},
    ),
    "product": ("product", {"dim": 8, "groups": 4, "inner_options": TABLE, "dropout": 0.5}),
    "product of rvq": (
        "product",
        {"dim": 8, "groups": 2, "inner": "rvq", "inner_options": {**TABLE, "num_codebooks": 3}, "dropout": 0.5},
    ),
    "product shared": ("product", {"dim": 8, "groups": 2, "inner_options": TABLE, "shared": True}),
    "banded": ("banded", {"dim": 8, "codebook_size": 33, "bands": 4, "codebooks_per_band": 2, "dropout": 0.5}),
    "multiscale": ("multiscale", {"dim": 8, "strides": (4, 2, 1), "inner_options": TABLE, "dropout": 0.5}),
    "residual-fsq": ("residual-fsq", {"dim": 3, "levels": (5, 4, 3), "num_codebooks": 4, "dropout": 0.5}),
    "residual-fsq projected": ("residual-fsq", {"dim": 8, "levels": (5, 4), "num_codebooks": 3}),
    "sq": ("sq", {"dim": 4, "codebook_size": 5}),
    "sq projected": ("sq", {"dim": 8, "codebook_size": 6, "num_codebooks": 3}),
    "lfq": ("lfq", {"dim": 6}),
    "lfq projected": ("lfq", {"dim": 8, "bits": 6}),
    "bsq": ("bsq", {"dim": 6}),
    "bsq projected": ("bsq", {"dim": 8, "bits": 6}),
    "random-projection": ("random-projection", {"dim": 8, "codebook_size": 33, "codebook_dim": 4, "num_codebooks": 3}),
    "random-projection of one": ("random-projection", {"dim": 8, "codebook_size": 32, "codebook_dim": 4}),
}


# One codebook in the latents' own space.
IDEMPOTENT = {"vq euclidean", "vq one dimension", "vq rotation", "simvq", "kmeans", "random-projection of one"}
# The same side by side, and signs.
IDEMPOTENT |= {"product", "product shared", "lfq", "bsq"}
# Words in the titles of variants without one table per codebook.
TABLELESS = {"fsq", "residual-fsq", "sq", "lfq", "bsq", "shared"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_untrained_quantizer_keeps_every_promise(variant: str):
    torch.manual_seed(0)
    report = check_quantizer(make_quantizer(*VARIANTS[variant]))
    ties = next(law for law in report.laws if law.name == "ties")
    assert (ties.cases > 0) == (not TABLELESS & set(variant.split())), "it applies to quantizers with tables"


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_trained_quantizer_keeps_every_promise(variant: str):
    torch.manual_seed(0)
    quantizer = make_quantizer(*VARIANTS[variant]).train()
    for _ in range(3):
        quantizer(torch.randn(4, quantizer.dim, 50))
    check_quantizer(quantizer, seed=1, idempotent=variant in IDEMPOTENT)


def test_every_quantizer_has_variants_here():
    assert {name for name, _ in VARIANTS.values()} == set(list_quantizers())
