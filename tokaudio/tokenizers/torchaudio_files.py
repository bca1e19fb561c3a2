"""HuBERT, wav2vec 2.0 and WavLM from torchaudio's pretrained pipelines: `torchaudio:HUBERT_BASE`.

torchaudio is imported here only, and only when asked for: its published build does not load beside every torch.
It fetches its files itself, into torch's own cache, where torch's weights-only reader opens them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from tokaudio.errors import CheckpointError, HubError, MissingDependencyError, UnknownNameError, one_line
from tokaudio.hub import why_offline
from tokaudio.nn.ssl import SpeechModel, SpeechSizes
from tokaudio.tokenizers.speech_files import speech_model

PREFIX = "torchaudio:"
# What torchaudio's layer norm adds to the variance of a signal.
_NORMALISE_EPSILON = 1e-5


def load_torchaudio(name: str, *, layers: int | None = None, local_files_only: bool = False) -> SpeechModel:
    """Load one of torchaudio's pretrained pipelines.

    Args:
        name: `torchaudio:` and what it is called in `torchaudio.pipelines`, such as `torchaudio:WAVLM_LARGE`.
        layers: how many layers are kept, from the first; all by default.
        local_files_only: never touch the network.

    Raises:
        UnknownNameError: torchaudio has no such speech model.
        MissingDependencyError: torchaudio is not installed, or does not load.
        HubError: its file is not here and cannot be had now.
        CheckpointError: if the weights do not fit.
    """
    bundle = _bundle(name)
    offline = why_offline(local_files_only=local_files_only)
    if offline and not _is_cached(bundle):
        problem = f"is not in torch's cache, and {offline}"
        raise HubError(one_line(name, problem, "load it once with the network, or unset that"))
    try:
        theirs = bundle.get_model(dl_kwargs={"weights_only": True, "progress": sys.stderr.isatty()})
    except OSError as error:
        reason = " ".join(str(error).split())[:120].replace(";", ",")
        raise HubError(one_line(name, f"could not be fetched ({reason})", "try again with a network")) from error
    sizes = torchaudio_sizes(theirs, where=name)
    return speech_model(theirs.state_dict(), sizes, layers=layers, where=name)


def torchaudio_sizes(theirs: Any, *, where: str = "torchaudio") -> SpeechSizes:
    """Return the sizes of a model of `torchaudio.models`, as it is or as a pipeline wraps it.

    Args:
        theirs: a `Wav2Vec2Model`, or what has one as `model` and says in `normalize_waveform` whether signals are
            brought to mean 0 and variance 1.
        where: its name, for messages.

    Raises:
        CheckpointError: it is another model.
    """
    normalise = _NORMALISE_EPSILON if getattr(theirs, "normalize_waveform", False) else None
    model = getattr(theirs, "model", theirs)
    try:
        blocks, transformer = model.feature_extractor.conv_layers, model.encoder.transformer
        layer, convs = transformer.layers[0], [block.conv for block in blocks]
        positions = transformer.pos_conv_embed.conv
        return SpeechSizes(
            width=model.encoder.feature_projection.projection.out_features,
            layers=len(transformer.layers),
            heads=layer.attention.num_heads,
            inner=layer.feed_forward.intermediate_dense.out_features,
            conv_widths=tuple(conv.out_channels for conv in convs),
            conv_kernels=tuple(conv.kernel_size[0] for conv in convs),
            conv_strides=tuple(conv.stride[0] for conv in convs),
            conv_bias=convs[0].bias is not None,
            conv_norm="layer" if len(blocks) > 1 and blocks[1].layer_norm is not None else "group",
            norm_first=layer.layer_norm_first,
            position_taps=positions.kernel_size[0],
            position_groups=positions.groups,
            buckets=getattr(layer.attention, "num_buckets", 0),
            max_distance=getattr(layer.attention, "max_distance", 800),
            normalise=normalise,
        )
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        detail = " ".join(str(error).split())[:120].replace(";", ",")
        problem = f"is no speech model that is known here ({detail})"
        raise CheckpointError(one_line(where, problem, "give HuBERT, wav2vec 2.0 or WavLM")) from error


def _bundle(name: str) -> Any:
    """Return the pipeline of a name.

    A build for another torch fails in many ways, `OSError` among them, when its compiled part is loaded.
    """
    try:
        from torchaudio import pipelines
    except (ImportError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:120].replace(";", ",")
        problem = f"needs torchaudio, which does not load ({reason})"
        version = torch.__version__.partition("+")[2] or "cpu"
        index = f"https://download.pytorch.org/whl/{version}"
        remedy = (
            f"install the build that belongs to torch {torch.__version__}: pip install torchaudio --index-url {index}"
        )
        raise MissingDependencyError(one_line(name, problem, remedy)) from error
    wanted = name.removeprefix(PREFIX)
    known = [word for word in dir(pipelines) if word.isupper() and word.startswith(("WAV2VEC2", "HUBERT", "WAVLM"))]
    if wanted not in known:
        raise UnknownNameError(one_line(name, "is not in torchaudio.pipelines", f"names are {', '.join(known)}"))
    return getattr(pipelines, wanted)


def _is_cached(bundle: Any) -> bool:
    path = getattr(bundle, "_path", None)
    return isinstance(path, str) and Path(torch.hub.get_dir(), "checkpoints", Path(path).name).is_file()
