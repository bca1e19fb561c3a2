"""Tokenizers and devices by the names that the command line gives them."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tokaudio.cli.failures import EnvironmentFailure, refuse
from tokaudio.cli.options import numbers
from tokaudio.errors import TokensError, one_line

if TYPE_CHECKING:
    import torch

    from tokaudio.spec import TokenizerSpec
    from tokaudio.tokenizers import Tokenizer


def choose_device(name: str) -> torch.device:
    """Return the device of a name; `auto` is the first CUDA device, or the CPU where there is none.

    Raises:
        MisuseError: if the name means nothing.
        EnvironmentFailure: if there is no such device here.

    Example:
        >>> choose_device("cpu")
        device(type='cpu')
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda", "mps"):
        raise refuse(f"--device {name}", "is no device that is supported", "use auto, cpu, cuda, cuda:N or mps")
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[device.type]
    if (device.index or 0) >= count:
        raise EnvironmentFailure(one_line(f"--device {name}", "this machine has no such device", "use auto or cpu"))
    return device


def open_tokenizer(name: str, device: torch.device, *, layers: str | None = None) -> Tokenizer:
    """Load a tokenizer onto a device; a built-in name comes before a folder of the same name.

    Args:
        name: of it, or its folder or file.
        device: where it shall be.
        layers: only these layers of its speech model, with commas between; None for all.

    Raises:
        UnknownNameError: if nothing of this name exists.
        CheckpointError: if its files are damaged, or it lacks one of the layers.
        MisuseError: if layers are asked for and it has none.
    """
    from tokaudio.catalogue import builtin_folder
    from tokaudio.tokenizers import Tokenizer

    wanted = None if layers is None else numbers("--layers", layers)
    tokenizer = Tokenizer.from_pretrained(builtin_folder(name) or name)
    return (tokenizer if wanted is None else keep_layers(tokenizer, wanted)).to(device)


def keep_layers(tokenizer: Tokenizer, layers: Sequence[int]) -> Tokenizer:
    """Return a tokenizer of only these layers of its speech model.

    Raises:
        MisuseError: if it has no layers.
        CheckpointError: if it lacks one of them.
    """
    from tokaudio.tokenizers.semantic import SemanticTokenizer

    if not isinstance(tokenizer, SemanticTokenizer):
        option = f"--layers {','.join(map(str, layers))}"
        problem = (
            f"{tokenizer.spec.name} is a {tokenizer.spec.kind} tokenizer ({type(tokenizer).__name__}) without layers"
        )
        raise refuse(option, problem, "leave it out, or use fewer codebooks (-k)")
    return tokenizer.keep_layers(layers)


def check_codebooks(num_codebooks: int | None, spec: TokenizerSpec) -> None:
    """Refuse more codebooks than there are.

    Raises:
        MisuseError: if `num_codebooks` exceeds those of the spec.
    """
    if num_codebooks is not None and num_codebooks > spec.num_codebooks:
        remedy = f"give 1 to {spec.num_codebooks}"
        raise refuse(f"-k {num_codebooks}", f"{spec.name} has {spec.num_codebooks} codebooks", remedy)


def check_decodes(tokenizer: Tokenizer) -> None:
    """Refuse a tokenizer that encodes only, before any work is done.

    Raises:
        TokensError: if it has no decoder.
    """
    if not tokenizer.decodes:
        raise tokenizer.no_decoder()


class Decoders:
    """The tokenizers that token files ask for, each loaded once.

    Args:
        name: the one tokenizer to use; None for those that the files name.
        device: where they shall be.

    Raises:
        UnknownNameError: if nothing is called `name`.
    """

    def __init__(self, name: str | None, device: torch.device) -> None:
        self._device = device
        self._only = None if name is None else open_tokenizer(name, device)
        self._given = name
        self._loaded: dict[str, Tokenizer] = {}  # also of only some layers of others
        self._lock = threading.Lock()

    def get(self, path: str, wanted: str) -> Tokenizer:
        """Return the tokenizer for a token file that was made by `wanted`.

        Raises:
            TokensError: if it is another than the one to use, or has no name that tokaudio knows.
        """
        with self._lock:
            if wanted not in self._loaded:
                self._loaded[wanted] = self._load(path, wanted)
            return self._loaded[wanted]

    def _load(self, path: str, wanted: str) -> Tokenizer:
        from tokaudio.catalogue import list_tokenizers

        if self._only is not None:
            name = self._only.spec.name
            if name == wanted:
                return self._only
            if (layers := layers_named(wanted, name)) is not None:
                return keep_layers(self._only, layers)
            problem = f"its tokens were made by {wanted}, not by {name}"
            raise TokensError(one_line(path, problem, f"decode it with {wanted} (-t)"))
        # Only names of our own: a file must not say what is fetched from anywhere.
        for name in list_tokenizers(published=True):
            if name == wanted:
                return open_tokenizer(wanted, self._device)
            if (layers := layers_named(wanted, name)) is not None:
                return keep_layers(open_tokenizer(name, self._device), layers)
        problem = f"its tokens were made by {wanted}, which does not ship with tokaudio"
        raise TokensError(one_line(path, problem, "name the folder of that tokenizer (-t FOLDER)"))


def layers_named(name: str, whole: str) -> list[int] | None:
    """Return which layers of the tokenizer `whole` the tokenizer `name` has; None if it is not of these.

    Example:
        >>> layers_named("hubert-L7-L12", "hubert"), layers_named("hubert-large", "hubert")
        ([7, 12], None)
    """
    rest = name.removeprefix(whole)
    if rest == name or not re.fullmatch(r"(?:-L\d{1,3})+", rest):
        return None
    return [int(layer) for layer in re.findall(r"\d+", rest)]
