"""Train a small decoder-only language model on the tokens of mini-codec, and hear what it says.

Run: python examples/06_language_model.py [FOLDER] [STEPS]

FOLDER holds recordings. A few dozen steps on the six clips that come along show that it works and give murmur; speech
takes hours of recordings, a larger model and a GPU.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from tokaudio import Tokenizer, Tokens
from tokaudio.audio import write_audio
from tokaudio.layouts import FlatLayout, RowCollator, Vocabulary, save_layout

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "audio" / "voice"
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 40
CODEBOOKS, FRAMES, WIDTH = 4, 48, 128

torch.manual_seed(0)
tokenizer = Tokenizer.from_pretrained("mini-codec")
clips = [tokenizer.encode(path).select_codebooks(CODEBOOKS) for path in sorted(folder.iterdir())]

# Frame by frame, each codebook with ids of its own; the JSON file says which, for programs without tokaudio.
spec = clips[0].spec
layout = FlatLayout(spec, vocabulary=Vocabulary.for_spec(spec), fingerprint=clips[0].fingerprint)
vocabulary = layout.vocabulary
print(vocabulary.table())
save_layout(Path(), layout, overwrite=True)

pieces = [clip.frames(start, start + FRAMES) for clip in clips for start in range(0, int(clip.lengths[0]), FRAMES // 2)]
rows = [layout.encode(piece)[0] for piece in pieces]
loader = DataLoader(rows, batch_size=8, shuffle=True, collate_fn=RowCollator.for_vocabulary(vocabulary))


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.places = nn.Embedding(vocabulary.size, WIDTH), nn.Embedding(512, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(WIDTH), enable_nested_tensor=False)

    def forward(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Return logits [B, L, V] of what follows each id."""
        causal = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        x = self.layers(self.table(ids) + self.places(positions), mask=causal, is_causal=True)
        return x @ self.table.weight.T / WIDTH**0.5


model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
losses: list[float] = []
while len(losses) < steps:
    for batch in loader:
        logits = model(batch["input_ids"], batch["position_ids"])
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
print(f"loss {losses[0]:.2f} at first, {losses[-1]:.2f} after {len(losses)} steps")

# Each id is drawn from the range of the codebook whose turn it is; frames come out as soon as they are complete.
ids, decoder, frames = [vocabulary.special("bos")], layout.decoder(), []
for place in range(FRAMES * CODEBOOKS):
    with torch.no_grad():
        logits = model(torch.tensor([ids]), torch.arange(len(ids))[None])[0, -1]
    turn = vocabulary.ranges[place % CODEBOOKS]
    ids.append(turn.first + int(torch.multinomial(logits[turn.first : turn.stop].softmax(0), 1)))
    frames.append(decoder.push(torch.tensor(ids[-1:])))
tokens = Tokens.from_codes(torch.cat(frames, dim=1), spec, fingerprint=layout.fingerprint)
write_audio("generated.wav", tokenizer.decode(tokens)[0], tokenizer.spec.output_sample_rate, overwrite=True)
print(f"generated.wav: {tokens}")
