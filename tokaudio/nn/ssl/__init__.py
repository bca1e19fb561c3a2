"""Self-supervised models of speech.

HuBERT (arXiv:2106.07447), wav2vec 2.0 (arXiv:2006.11477), WavLM (arXiv:2110.13900): one network of convolutions over
samples and a transformer over frames of 20 ms; the three differ in their training, and WavLM in how its attention
knows distances. Whisper's encoder (arXiv:2212.04356) gives hidden states of the same kind from mel frames.
"""

from tokaudio.nn.ssl.model import SpeechModel
from tokaudio.nn.ssl.sizes import SpeechSizes
from tokaudio.nn.ssl.whisper import WhisperEncoder, WhisperSizes

__all__ = ["SpeechModel", "SpeechSizes", "WhisperEncoder", "WhisperSizes"]
