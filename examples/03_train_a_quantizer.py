"""Put another quantizer into the codec: fit residual and scalar quantizers on mini-codec's features and compare them.

Run: python examples/03_train_a_quantizer.py
"""

from pathlib import Path

import torch

from tokaudio import Tokenizer
from tokaudio.quantizers import make_quantizer

torch.manual_seed(0)
tokenizer = Tokenizer.from_pretrained("mini-codec")
latents = tokenizer.features(Path(__file__).parent / "audio" / "speech.wav")  # [B, D, T]
dim = latents.shape[1]

choices = {
    "vq": {"codebook_size": 64},
    "rvq": {"codebook_size": 64, "num_codebooks": 4},
    "fsq": {"levels": (8, 5, 5, 5)},
}
for name, options in choices.items():
    quantizer = make_quantizer(name, {"dim": dim, **options}).train()
    learned = list(quantizer.parameters())
    optimizer = torch.optim.Adam(learned, lr=1e-2) if learned else None
    for _ in range(200):
        out = quantizer(latents)
        loss = (out.quantized - latents).square().mean() + out.loss
        if optimizer is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    quantizer.eval().requires_grad_(False)
    rebuilt = quantizer.decode(quantizer.encode(latents))
    explained = 1 - float((rebuilt - latents).square().mean() / latents.var())
    print(f"{name}: codebooks {quantizer.codebook_sizes}, {100 * explained:.0f} % of the variance kept")
