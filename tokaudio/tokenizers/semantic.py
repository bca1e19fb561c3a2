"""Semantic tokenizers: hidden states of a self-supervised speech model, each layer with centroids of its own.

Discrete HuBERT, WavLM and wav2vec 2.0, as in HuBERT (arXiv:2106.07447), GSLM (arXiv:2102.01192) and the DASB benchmark
(arXiv:2406.14294). Attention sees the whole signal; sounds of more than a minute go through windows with context.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tokaudio.audio.blocks import BlockStream
from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.windows import Windowed, Windows
from tokaudio.quantizers import KMeansQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.backbones import BackboneSizes, make_backbone, sizes_config, sizes_from_config
from tokaudio.tokenizers.building import make_unfilled
from tokaudio.tokenizers.codec import check_samples
from tokaudio.tokenizers.known_vocoders import vocoder_remedy
from tokaudio.tokenizers.published import PublishedSource
from tokaudio.tokenizers.streams import Refusing, Streaming
from tokaudio.tokenizers.vocoded import Vocoded, decoded_spec
from tokaudio.tokenizers.vocoders import Vocoder, vocoder_from_config
from tokaudio.tokenizers.windowed import InWindows

SAMPLE_RATE = 16_000
_BLOCK_SECONDS = 10


class SemanticTokenizer(InWindows, Vocoded):
    """A speech model and k-means over some of its layers.

    Each layer has one codebook, or several: `groups` side by side, each for a share of the layer's dimensions (product
    quantization), and in each of them `stages` one after the other (residual). Codebooks are in the order of layers,
    groups, stages.

    It decodes where it has a vocoder: see `with_vocoder`.

    `features` are the hidden states of all chosen layers side by side, `[len(layers) * D, T]`; `codebooks` and `embed`
    lie in the same space.

    Attributes:
        backbone: the speech model, without the layers above the highest one chosen.
        layers: the numbers of the layers, in the order of their codebooks; 0 is what enters the transformer.
        layer_sizes: V of each layer's codebooks.
        groups: codebooks per layer side by side.
        quantizer: the centroids.
        vocoder: what makes sound of its codes; None if there is none.

    Example:
        >>> from tokaudio.nn.ssl import SpeechSizes
        >>> sizes = SpeechSizes(width=32, layers=4, heads=2, inner=64, conv_widths=(16,) * 7)
        >>> tokenizer = SemanticTokenizer.untrained("tiny", sizes, layers=(1, 3), codebook_size=50).eval()
        >>> tokenizer.encode(torch.zeros(16_000), 16_000)
        Tokens(tiny, 2 codebooks x 49 frames, 1.00 s, 0.56 kbps)
    """

    FAMILY = "semantic"

    def __init__(
        self,
        spec: TokenizerSpec,
        sizes: BackboneSizes,
        layers: Sequence[int],
        *,
        codebook_size: int | Sequence[int],
        groups: int = 1,
        stages: int = 1,
        vocoder: Vocoder | None = None,
    ) -> None:
        """Make an untrained tokenizer.

        Args:
            spec: its facts; hop and codebooks must agree with the rest.
            sizes: of the backbone, which also say its kind.
            layers: different numbers from 0 to `sizes.layers`.
            codebook_size: V, centroids per codebook: one number, or one for each layer.
            groups: codebooks per layer side by side, each for a share of its dimensions.
            stages: codebooks per group, each for what the ones before it leave over.
            vocoder: what makes sound of its codes.

        Raises:
            CheckpointError: if the parts do not agree.
        """
        super().__init__(spec)
        self.sizes, self.layers, self.groups = sizes, tuple(layers), groups
        if not layers or len(set(layers)) < len(self.layers) or not all(0 <= n <= sizes.layers for n in self.layers):
            raise CheckpointError(
                f"{spec.name}: layers are {list(layers)}; give different ones from 0 to {sizes.layers}"
            )
        self.layer_sizes = sizes_of_layers(codebook_size, len(self.layers))
        self.backbone = make_backbone(sizes, layers=max(self.layers))
        self.quantizer = KMeansQuantizer(
            len(self.layers) * sizes.width,
            [size for size in self.layer_sizes for _ in range(groups * stages)],
            parts=len(self.layers) * groups,
            stages=stages,
        )
        for name, facts, parts in (
            ("sample_rate", spec.sample_rate, SAMPLE_RATE),
            ("channels", spec.channels, 1),
            ("hop_length", spec.hop_length, sizes.hop_length),
            ("least_padding", spec.least_padding, 1 - sizes.shortest),
            ("codebook sizes", spec.codebook_sizes, self.quantizer.codebook_sizes),
        ):
            if facts != parts:
                raise CheckpointError(f"{spec.name}: {name} is {facts} in the spec and {parts} in the network")
        self.take_vocoder(vocoder, self.layer_sizes, per_layer=self.codebooks_per_layer)

    @classmethod
    def untrained(
        cls,
        name: str,
        sizes: BackboneSizes,
        layers: Sequence[int],
        *,
        codebook_size: int | Sequence[int],
        groups: int = 1,
        stages: int = 1,
        licence: str = "",
        paper: str = "",
        origin: str = "",
    ) -> SemanticTokenizer:
        """Make an untrained tokenizer and its spec.

        Args:
            name: of the tokenizer.
            sizes: of the backbone, which also say its kind.
            layers: as for the constructor.
            codebook_size: as for the constructor, and so are the next two.
            groups: codebooks per layer side by side.
            stages: codebooks per group.
            licence: of the weights.
            paper: identifier of the publication.
            origin: where the weights come from.

        Raises:
            CheckpointError: if the parts do not agree.
        """
        books = sizes_of_layers(codebook_size, len(layers))
        spec = TokenizerSpec(
            name=name,
            kind="semantic",
            sample_rate=SAMPLE_RATE,
            hop_length=sizes.hop_length,
            codebooks=tuple(CodebookSpec(size, role="semantic") for size in books for _ in range(groups * stages)),
            least_padding=1 - sizes.shortest,
            licence=licence,
            paper=paper,
            origin=origin,
        )
        return cls(spec, sizes, layers, codebook_size=codebook_size, groups=groups, stages=stages)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SemanticTokenizer:
        """Make an untrained tokenizer from what `config.json` holds.

        Raises:
            CheckpointError: if a field is missing or unknown.
        """
        try:
            spec, sizes = TokenizerSpec.from_dict(config["spec"]), sizes_from_config(config["backbone"])
            vocoder = vocoder_from_config(config["vocoder"]) if config.get("vocoder") else None
            return cls(spec, sizes, config["layers"], **config["kmeans"], vocoder=vocoder)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"the configuration does not fit a semantic tokenizer: {error}") from error

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether files are those of a backbone; see `tokaudio.tokenizers.semantic_files`."""
        from tokaudio.tokenizers.semantic_files import is_semantic_folder

        return is_semantic_folder(source)

    @classmethod
    def from_published(cls, source: PublishedSource) -> SemanticTokenizer:
        """Make a tokenizer of a backbone's folder with centroids in it.

        Raises:
            CheckpointError: if there are none, or only in pickles.
        """
        from tokaudio.tokenizers.semantic_files import from_parts

        return from_parts(source.path, name=source.name if source.path.is_dir() else None)

    def config(self) -> dict[str, Any]:
        """Return the family's name, the sizes of the backbone, the layers, and what the vocoder is."""
        vocoder = {} if self.vocoder is None else {"vocoder": self.vocoder.config()}
        return {
            "family": self.FAMILY,
            "backbone": sizes_config(self.sizes),
            "layers": list(self.layers),
            "kmeans": {
                "codebook_size": list(self.layer_sizes),
                "groups": self.groups,
                "stages": self.quantizer.stages,
            },
            **vocoder,
        }

    @property
    def windows(self) -> Windows | None:
        """How long signals are cut, in frames: as the backbone does by itself, if it has to; None if they are not."""
        return self.sizes.windows or super().windows

    @property
    def codebooks_per_layer(self) -> int:
        """How many codebooks a layer has, groups times stages."""
        return self.groups * self.quantizer.stages

    def keep_layers(self, layers: Sequence[int]) -> SemanticTokenizer:
        """Return a tokenizer of some of the layers, in the order given: its codes are those of their codebooks here.

        It shares its tensors with this one, and runs no layer above the highest that it keeps. Its name says which
        layers those are, and its fingerprint is another. It keeps the vocoder if that can do without the others.

        Raises:
            CheckpointError: if a layer has no codebooks here, or is given twice.

        Example:
            >>> from tokaudio.nn.ssl import SpeechSizes
            >>> sizes = SpeechSizes(width=32, layers=4, heads=2, inner=64, conv_widths=(16,) * 7)
            >>> tokenizer = SemanticTokenizer.untrained("tiny", sizes, layers=(1, 3), codebook_size=50).eval()
            >>> tokenizer.keep_layers([1]).spec.name
            'tiny-L1'
        """
        wanted = list(layers)
        if not wanted or len(set(wanted)) < len(wanted) or not set(wanted) <= set(self.layers):
            problem, remedy = f"has no layers {wanted}", f"give different ones of {list(self.layers)}"
            raise CheckpointError(one_line(self.spec.name, problem, remedy))
        name = f"{self.spec.name}-{'-'.join(f'L{layer}' for layer in wanted)}"
        at = [self.layers.index(layer) for layer in wanted]
        try:
            vocoder = self.vocoder and self.vocoder.fitted(
                wanted, [self.layer_sizes[place] for place in at], per_layer=self.codebooks_per_layer
            )
        except CheckpointError:
            vocoder = None
        return self._remade(name, at, vocoder)

    def with_vocoder(self, vocoder: Vocoder) -> SemanticTokenizer:
        """Return a tokenizer that decodes with this vocoder; it shares its tensors with this one.

        Tokens stay the same, fingerprint included: those that were made before can be decoded.

        Args:
            vocoder: one that was trained on units of these very centroids, of
                [`load_vocoder`][tokaudio.tokenizers.vocoder_files.load_vocoder].

        Raises:
            CheckpointError: it was trained on units of other layers, other sizes or another frame rate.

        Example:
            >>> from tokaudio.nn.ssl import SpeechSizes
            >>> from tokaudio.nn.unit_hifigan import UnitHiFiGANSizes
            >>> from tokaudio.tokenizers.unit_vocoder import UnitFacts, UnitVocoder
            >>> sizes = SpeechSizes(width=32, layers=4, heads=2, inner=64, conv_widths=(16,) * 7)
            >>> tokenizer = SemanticTokenizer.untrained("tiny", sizes, layers=(1,), codebook_size=50).eval()
            >>> vocoder = UnitVocoder(UnitFacts("tiny-vocoder", 50), UnitHiFiGANSizes(50, unit_dim=8, channels=32))
            >>> tokenizer = tokenizer.with_vocoder(vocoder.eval())
            >>> tokenizer.decode(tokenizer.encode(torch.zeros(16_000), 16_000)).shape
            torch.Size([1, 1, 16000])
        """
        return self._remade(self.spec.name, list(range(len(self.layers))), vocoder)

    def vocoder_wanted(self) -> str:
        """Return what to do about a missing vocoder, as an imperative: which published one may fit."""
        return vocoder_remedy(self.sizes, self.layers, self.layer_sizes)

    def _remade(self, name: str, at: Sequence[int], vocoder: Vocoder | None) -> SemanticTokenizer:
        """Return a tokenizer of the layers at these places, with these tensors."""
        per = self.codebooks_per_layer
        books = [index for place in at for index in range(place * per, (place + 1) * per)]
        spec = dataclasses.replace(
            decoded_spec(self.spec, vocoder), name=name, codebooks=tuple(self.spec.codebooks[index] for index in books)
        )
        made = make_unfilled(
            lambda: SemanticTokenizer(
                spec,
                self.sizes,
                [self.layers[place] for place in at],
                codebook_size=[self.layer_sizes[place] for place in at],
                groups=self.groups,
                stages=self.quantizer.stages,
            )
        )
        tensors = self.state_dict() | {
            f"quantizer.books.{new}.table": self.quantizer.books[old].table for new, old in enumerate(books)
        }
        made.load_state_dict({name: tensors[name] for name in made.state_dict()}, assign=True)
        made.take_vocoder(vocoder, made.layer_sizes, per_layer=per)
        made.window_seconds = self.window_seconds
        return made.train(self.training).requires_grad_(False)

    def codebooks(self) -> list[Tensor]:
        """Return every codebook as vectors `[V, D]`, zero outside its own layer."""
        return [self.quantizer.codebook(index) for index in range(self.spec.num_codebooks)]

    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        return self._codes(self._hidden(samples[0], num_codebooks), num_codebooks)

    def _features(self, samples: Tensor) -> Tensor:
        return self._hidden(samples[0], self.spec.num_codebooks).T

    def _embed(self, codes: Tensor) -> Tensor:
        return self.quantizer.decode(codes)

    def _no_features(self) -> Tensor:
        return torch.zeros(0, self.quantizer.dim, dtype=torch.float32, device=self.device)

    def _streaming(self, num_codebooks: int) -> Streaming:
        speaking = Refusing(self.no_decoder) if self.vocoder is None else self._decoder_stream(num_codebooks)
        return Streaming(self._encoder_stream(num_codebooks), speaking)

    def _encoder_stream(self, num_codebooks: int) -> BlockStream:
        kept: list[Tensor] = []

        def run(block: Tensor, last: bool) -> Tensor:
            kept.append(block[:, 0])
            if not last:
                return block.new_zeros(0, num_codebooks, dtype=torch.int64)
            return self._codes(self._hidden(torch.cat(kept), num_codebooks), num_codebooks).T

        return BlockStream(
            run,
            1,
            _BLOCK_SECONDS * SAMPLE_RATE,
            self._no_codes(num_codebooks),
            device=self.device,
            check=check_samples,
        )

    def _hidden(self, samples: Tensor, num_codebooks: int) -> Tensor:
        """Return the layers `[T, L * D]` that so many codebooks take, side by side, of one signal `[S]`."""
        layers = self.layers[: -(-num_codebooks // self.codebooks_per_layer)]

        def states(frames: Tensor) -> Tensor:
            return self.backbone.later_states(frames, layers).transpose(0, 1).flatten(1)

        frames = self.backbone.frames(samples, fill=True)
        if self.windows is None or self.sizes.windows is not None:
            return states(frames)
        return Windowed(states, self.windows)(frames, True)

    def _codes(self, hidden: Tensor, num_codebooks: int) -> Tensor:
        """Return codes `[k, T]` of layers `[T, l * D]`, l up to L."""
        missing = self.quantizer.dim - hidden.shape[1]
        rows = torch.nn.functional.pad(hidden, (0, missing)) if missing else hidden
        return self.quantizer.encode(rows.T[None], num_codebooks=num_codebooks)[0]


def sizes_of_layers(codebook_size: int | Sequence[int], layers: int) -> tuple[int, ...]:
    """Return V of each layer's codebooks, from one number for all or one for each.

    Raises:
        CheckpointError: if there are more or fewer than layers.

    Example:
        >>> sizes_of_layers(500, 2), sizes_of_layers([500, 1000], 2)
        ((500, 500), (500, 1000))
    """
    sizes = (codebook_size,) * layers if isinstance(codebook_size, int) else tuple(codebook_size)
    if len(sizes) != layers:
        raise CheckpointError(f"{len(sizes)} codebook sizes for {layers} layers; give one number, or one per layer")
    return sizes
