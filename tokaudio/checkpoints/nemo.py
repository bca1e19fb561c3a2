"""`.nemo` archives: a tar file, compressed or not, of a YAML configuration and a file of `torch.save`."""

from __future__ import annotations

import posixpath
import tarfile
from pathlib import Path
from typing import Any

from tokaudio.checkpoints.configs import parse_yaml
from tokaudio.checkpoints.torch_files import damaged, map_file
from tokaudio.errors import CheckpointError, one_line

CONFIG, WEIGHTS = "model_config.yaml", "model_weights.ckpt"
# Nothing that describes a network is larger.
_LARGEST_CONFIG = 10_000_000


def read_nemo(path: Path) -> tuple[memoryview, Any]:
    """Return the bytes of the weights and the configuration; nothing is unpacked to the disk.

    Raises:
        CheckpointError: if the archive is damaged, or lacks one of the two.
    """
    try:
        with tarfile.open(path) as archive:
            members = {posixpath.basename(member.name): member for member in archive if member.isreg()}
            for name in (CONFIG, WEIGHTS):
                if name not in members:
                    raise CheckpointError(one_line(path, f"is an archive without {name}", "give a .nemo file"))
            config, weights = members[CONFIG], members[WEIGHTS]
            if config.size > _LARGEST_CONFIG:
                raise CheckpointError(one_line(path, f"has a {CONFIG} of {config.size} bytes", "get an intact copy"))
            text = _read(archive, config)
            with path.open("rb") as file:
                plain = file.read(2) != b"\x1f\x8b"
            if plain:
                content = map_file(path)[weights.offset_data : weights.offset_data + weights.size]
            else:
                content = memoryview(bytearray(_read(archive, weights)))
            if len(content) != weights.size:
                raise ValueError("weights are missing")
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise (error if isinstance(error, CheckpointError) else damaged(path, error)) from error
    return content, parse_yaml(text, f"{path} ({CONFIG})")


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    assert stream is not None, "a regular file"
    content = stream.read()
    if len(content) != member.size:
        raise ValueError(f"{member.name} is incomplete")
    return content
