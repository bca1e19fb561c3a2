"""Starting a training from weights that exist: shipped, trained here, or published.

start = fine_tune(Tokenizer.from_pretrained("mini-codec"))
...  # train start.body and start.quantizer
start.tokenizer("my-voice").save_pretrained("my-voice")
"""

from __future__ import annotations

from dataclasses import dataclass

from tokaudio.errors import CheckpointError, one_line
from tokaudio.quantizers import FactorizedVectorQuantizer, Quantizer, ResidualVectorQuantizer
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokenizers.families.dac import DAC
from tokaudio.tokenizers.families.encodec import EnCodec
from tokaudio.tokenizers.spectral_codec import SpectralCodec
from tokaudio.tokenizers.trained_codec import DacNetwork, TrainedCodec
from tokaudio.training.bodies import About, Body, QuantizerChoice
from tokaudio.training.network_bodies import DacBody, NetworkBody, SEANetBody
from tokaudio.training.spectral_body import SpectralBody


@dataclass(frozen=True, slots=True)
class FineTuning:
    """What is trained on, with the weights of a tokenizer.

    Attributes:
        body: encoder and decoder.
        quantizer: the tokenizer's, or a new one.
        choice: what the quantizer was made from.
        about: what the tokenizer says about itself.
    """

    body: Body
    quantizer: Quantizer
    choice: QuantizerChoice
    about: About

    def tokenizer(self, name: str, *, origin: str = "") -> Tokenizer:
        """Return a tokenizer with copies of the weights as they are now.

        Args:
            name: of the tokenizer.
            origin: where its weights come from; what it was made of by default.
        """
        told = origin or f"{self.about.name}, trained on"
        about = About(name, kind=self.about.kind, licence=self.about.licence, origin=told)
        return self.body.tokenizer(self.quantizer, self.choice, about)


def fine_tune(
    tokenizer: Tokenizer, *, quantizer: QuantizerChoice | None = None, weight_norm: bool = False
) -> FineTuning:
    """Return body and quantizer with copies of a tokenizer's weights, ready to learn.

    Args:
        tokenizer: a spectral codec, an EnCodec at 24 or 32 kHz, a DAC, or a codec that was trained here.
        quantizer: replaces the tokenizer's, untrained; None to keep that.
        weight_norm: train convolutions as direction and length, as EnCodec and DAC were.

    Raises:
        CheckpointError: if it is a tokenizer of another family, or one of several channels.

    Example:
        >>> start = fine_tune(Tokenizer.from_pretrained("mini-codec"))
        >>> start.choice.name, start.quantizer.num_codebooks, start.body.sample_rate
        ('rvq', 8, 16000)
    """
    body, kept = body_of(tokenizer, weight_norm=weight_norm), choice_of(tokenizer)
    choice = quantizer or kept
    made = choice.make(body.dim)
    if quantizer is None:
        made.load_state_dict(tokenizer.quantizer.state_dict())  # type: ignore[union-attr,operator]
    spec = tokenizer.spec
    about = About(spec.name, kind=spec.kind, licence=spec.licence, origin=spec.origin)
    return FineTuning(body, made, choice, about)


def body_of(tokenizer: Tokenizer, *, weight_norm: bool = False) -> Body:
    """Return a body with copies of the weights of a tokenizer, in train mode.

    Raises:
        CheckpointError: if it has no such networks.
    """
    rate = tokenizer.spec.sample_rate
    body: Body
    if isinstance(tokenizer, SpectralCodec):
        if weight_norm:
            problem = "its convolutions have no weight norm"
            raise CheckpointError(one_line(tokenizer.spec.name, problem, "leave weight_norm out"))
        body = SpectralBody(rate, tokenizer.shape)
    else:
        body = _network_body(tokenizer, weight_norm)
    body.start_from(tokenizer)
    return body.train()


def _network_body(tokenizer: Tokenizer, weight_norm: bool) -> NetworkBody:
    spec = tokenizer.spec
    if isinstance(tokenizer, TrainedCodec):
        kind = DacBody if isinstance(tokenizer.network, DacNetwork) else SEANetBody
        return kind(spec.sample_rate, tokenizer.network, weight_norm=weight_norm)
    if isinstance(tokenizer, EnCodec) and spec.channels == 1 and spec.segments is None:
        return SEANetBody(spec.sample_rate, tokenizer.network, weight_norm=weight_norm)
    if isinstance(tokenizer, DAC):
        names = ("encoder_dim", "encoder_rates", "latent_dim", "decoder_dim", "decoder_rates")
        sizes = DacNetwork(**{name: getattr(tokenizer.shape, name) for name in names})
        return DacBody(spec.sample_rate, sizes, weight_norm=weight_norm)
    where = " in several channels or segments" if isinstance(tokenizer, EnCodec) else ""
    problem = f"{type(tokenizer).__name__} cannot be trained on{where}"
    raise CheckpointError(one_line(spec.name, problem, "give a spectral codec, an EnCodec, a DAC or a trained codec"))


def choice_of(tokenizer: Tokenizer) -> QuantizerChoice:
    """Return what the quantizer of a tokenizer was made from.

    Raises:
        CheckpointError: if its family is none that can be trained on.

    Example:
        >>> choice_of(Tokenizer.from_pretrained("mini-codec")).name
        'rvq'
    """
    if isinstance(tokenizer, (SpectralCodec, TrainedCodec)):
        return QuantizerChoice(tokenizer.quantizer_name, tokenizer.quantizer_options)
    spec, quantizer = tokenizer.spec, getattr(tokenizer, "quantizer", None)
    sizes = {"codebook_size": spec.codebook_sizes[0], "num_codebooks": spec.num_codebooks}
    if isinstance(tokenizer, EnCodec) and isinstance(quantizer, ResidualVectorQuantizer):
        return QuantizerChoice("rvq", sizes)
    if isinstance(tokenizer, DAC) and isinstance(quantizer, FactorizedVectorQuantizer):
        shape = tokenizer.shape
        narrow = {"codebook_dim": shape.codebook_dim, "dropout": shape.quantizer_dropout}
        return QuantizerChoice("factorized", {**sizes, **narrow})
    problem = f"the quantizer of {type(tokenizer).__name__} cannot be trained on"
    raise CheckpointError(one_line(spec.name, problem, "give a spectral codec, an EnCodec, a DAC or a trained codec"))
