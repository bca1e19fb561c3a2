"""w2v-BERT 2.0 at every hidden state, and what it hears, against transformers' model and feature extractor."""

import pytest
import torch

from tests.near import assert_near
from tests.parity.support import recording, reference_mode, scatter, signals
from tokaudio.audio.kaldi_mel import KaldiMel, normalised, paired
from tokaudio.nn.ssl.wav2vec2_bert import Wav2Vec2BertSizes

WIDTH, HIDDEN, HEADS, LAYERS = 64, 96, 2, 4


def models():
    """Return transformers' model with weights that matter, and ours with the same."""
    from transformers import Wav2Vec2BertConfig, Wav2Vec2BertModel

    torch.manual_seed(0)
    sizes = {"hidden_size": WIDTH, "intermediate_size": HIDDEN, "num_attention_heads": HEADS}
    theirs = Wav2Vec2BertModel(Wav2Vec2BertConfig(**sizes, num_hidden_layers=LAYERS)).eval()
    scatter(theirs)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if parameter.dim() > 1:
                parameter.mul_(25 if "distance" in name else 4)
    ours = Wav2Vec2BertSizes(width=WIDTH, hidden=HIDDEN, heads=HEADS, layers=LAYERS).make().eval()
    state = theirs.state_dict()
    del state["masked_spec_embed"]
    ours.load_state_dict(state)
    return theirs, ours


@pytest.mark.parametrize(("steps", "real"), [(1, 1), (70, 70), (300, 300), (70, 69), (300, 211)])
def test_hidden_states(steps: int, real: int):
    theirs, ours = models()
    frames = torch.randn(2, steps, 160, generator=torch.Generator().manual_seed(steps))
    mask = (torch.arange(steps) < real).long().expand(2, -1)
    with reference_mode():
        wanted = theirs(frames, attention_mask=mask, output_hidden_states=True).hidden_states
        found = list(ours.hidden_states(frames, real=real))
    assert len(found) == len(wanted) == LAYERS + 1
    for state, reference in zip(found, wanted, strict=True):
        assert reference.std() > 0.1
        assert_near(state, reference)


@pytest.mark.parametrize("samples", [720, 1_040, 16_000, 16_079, 32_000])
def test_mel_energies(samples: int):
    from transformers import SeamlessM4TFeatureExtractor

    for sound in (signals(16_000, 3, seconds=2.0)[:, :samples], recording(16_000)[:, :samples]):
        with reference_mode():
            wanted = SeamlessM4TFeatureExtractor()(sound[0].numpy(), sampling_rate=16_000, return_tensors="pt")
        found = paired(normalised(KaldiMel()(sound)))
        # The reference fills an odd number of frames up.
        assert wanted["input_features"].shape[1] - found.shape[1] == int((samples - 240) // 160 % 2)
        assert_near(found, wanted["input_features"][:, : found.shape[1]])
