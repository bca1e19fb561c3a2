"""Random-projection quantization (Chiu et al. 2022, arXiv:2202.01855, section 3.1): nothing at all is learned.

A random matrix takes vectors to a narrow space, where the random codeword of nearest direction is the code. Such codes
are good targets for a model that predicts masked speech (BEST-RQ), not for reconstruction.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.quantizers.base import Quantizer, QuantizerOutput
from tokaudio.quantizers.gradients import pass_gradient
from tokaudio.quantizers.search import nearest


class RandomProjectionQuantizer(Quantizer):
    """K random projections, each with a random codebook that is compared by direction.

    Each code is found from the vector itself, whatever the others are. `decode` gives, for one codebook, the shortest
    vector that the projection takes to the codeword; for several, the mean of these.

    Attributes:
        mean: of the latents `[D]`, taken off first; zero until `initialise` measures it.
        deviation: of the latents `[D]`, divided by; one until then. Without it few codes are used, says the paper.
        projections: K random matrices `[D, d]`.
        words: K random tables of unit vectors `[V, d]`.

    Example:
        >>> quantizer = RandomProjectionQuantizer(80, 1024, num_codebooks=2)
        >>> quantizer.encode(torch.randn(1, 80, 7)).shape
        torch.Size([1, 2, 7])
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, dim: int, codebook_size: int, *, codebook_dim: int = 16, num_codebooks: int = 1, seed: int = 0
    ) -> None:
        """Draw projections and codebooks.

        Args:
            dim: D, width of the latents.
            codebook_size: V of every codebook.
            codebook_dim: d, width of the search, at most D.
            num_codebooks: K.
            seed: of all random numbers.

        Raises:
            ValueError: if a number is out of range.
        """
        super().__init__()
        if not 1 <= codebook_dim <= dim or codebook_size < 1 or num_codebooks < 1:
            problem = f"codebook_dim {codebook_dim}, codebook_size {codebook_size}, num_codebooks {num_codebooks}"
            raise ValueError(f"numbers must be from 1, and codebook_dim at most dim {dim}; got {problem}")
        self.dim, self.codebook_sizes = dim, (codebook_size,) * num_codebooks
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("deviation", torch.ones(dim))
        self.projections, self.words = nn.ParameterList(), nn.ParameterList()
        for _ in range(num_codebooks):
            matrix = nn.init.xavier_uniform_(torch.empty(dim, codebook_dim), generator=generator)
            words = F.normalize(torch.randn(codebook_size, codebook_dim, generator=generator), dim=-1)
            self.projections.append(nn.Parameter(matrix, requires_grad=False))
            self.words.append(nn.Parameter(words, requires_grad=False))

    @torch.no_grad()
    def initialise(self, latents: Tensor) -> None:
        """Measure mean and standard deviation over vectors `[N, D]`; those that are not finite are left out."""
        rows = latents.float()
        rows = rows[torch.isfinite(rows.square().sum(-1))]
        if len(rows) > 1:
            self.mean.copy_(rows.mean(0))
            self.deviation.copy_(rows.std(0, unbiased=False).clamp_min(1e-6))

    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, k, T]` of vectors `[B, D, T]`."""
        depth, codes = self.resolve(num_codebooks), []
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            centred = latents.float() - self.mean.float()[:, None]
            for index in range(depth):
                matrix = (self.projections[index].float() / self.deviation.float()[:, None]).T
                narrow = (matrix.expand(len(centred), -1, -1) @ centred).transpose(1, 2)
                directions = F.normalize(narrow.flatten(0, 1), dim=-1)
                codes.append(nearest(directions, self._directions(index)).unflatten(0, narrow.shape[:2]))
        return torch.stack(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Return vectors `[B, D, T]` of codes `[B, k, T]`."""
        self.check_codes(codes)
        rows = [F.embedding(row, self.codebook(index)) for index, row in enumerate(codes.unbind(1))]
        return torch.stack(rows).mean(0).transpose(1, 2)

    def codebook(self, index: int) -> Tensor:
        """Return codebook `index` as vectors `[V, D]` in the space of the latents."""
        if not 0 <= index < self.num_codebooks:
            raise IndexError(f"codebook index must be in 0..{self.num_codebooks - 1}, got {index}")
        return self._back(index) * self.deviation.float() + self.mean.float()

    def forward(self, latents: Tensor, *, num_codebooks: Tensor | int | None = None) -> QuantizerOutput:
        """Quantize `[B, D, T]`; gradients pass straight through, and the loss is zero."""
        self.require_depth(num_codebooks)
        codes = self.encode(latents)
        given = self.num_codebooks if num_codebooks is None else num_codebooks
        depth = torch.as_tensor(given, device=latents.device).expand(len(latents))
        # Of one codebook there is nothing to take the mean of.
        words = F.embedding(codes[:, 0], self.codebook(0))
        for index, row in enumerate(codes.unbind(1)[1:], start=1):
            words = words + F.embedding(row, self.codebook(index)) * (depth > index)[:, None, None]
        if self.num_codebooks > 1:
            words = words / depth[:, None, None]
        return QuantizerOutput(pass_gradient(latents, words.transpose(1, 2)), codes, latents.new_zeros(()))

    def _directions(self, index: int) -> Tensor:
        return F.normalize(self.words[index].float(), dim=-1)

    def _back(self, index: int) -> Tensor:
        """Return the shortest vectors `[V, D]` that the projection takes to the codewords."""
        matrix = self.projections[index].float()
        return self._directions(index) @ torch.linalg.solve(matrix.T @ matrix, matrix.T)
