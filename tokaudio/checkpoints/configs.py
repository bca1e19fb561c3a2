"""Configuration files next to weights: JSON and YAML, as plain data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokaudio.errors import CheckpointError, one_line
from tokaudio.json_text import parse_json


def parse_yaml(text: bytes, where: str) -> Any:
    r"""Return what YAML holds; tags that would make objects are dropped, and what they stand before is kept.

    Raises:
        CheckpointError: if it is no YAML.

    Example:
        >>> parse_yaml(b"net: !new:some.Class\n  width: 3", "a.yaml")
        {'net': {'width': 3}}
    """
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Knows no classes."""

    def plain(loader: Any, _tag: str, node: Any) -> Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return loader.construct_scalar(node)

    Loader.add_multi_constructor("!", plain)
    Loader.add_multi_constructor("tag:yaml.org,2002:python/", plain)
    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        detail = " ".join(str(error).split())[:120].replace(";", ",")
        raise CheckpointError(one_line(where, f"is no YAML ({detail})", "get an intact copy")) from error


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the fields of a `.json`, `.yaml` or `.yml` file.

    Raises:
        CheckpointError: if it cannot be read, or holds something else.
    """
    try:
        text = path.read_bytes()
        content = parse_json(text) if path.suffix.lower() == ".json" else parse_yaml(text, str(path))
    except FileNotFoundError as error:
        raise CheckpointError(one_line(path, "is missing", "give a folder with it")) from error
    except CheckpointError:
        raise
    except (OSError, ValueError) as error:
        raise CheckpointError(one_line(path, f"cannot be read ({error})", "copy or download it again")) from error
    if not isinstance(content, dict):
        raise CheckpointError(one_line(path, "holds no fields", "get an intact copy"))
    return content
