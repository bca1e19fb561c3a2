"""Files in which a pickle would make a sentinel if it were run, in every wrapping that weights and tokens come in."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import joblib
import numpy as np
import torch


class MakesFolder:
    """Makes a folder when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.sentinel),)


def payloads(sentinel: Path) -> dict[str, bytes]:
    """Return twelve contents by their usual names."""
    bomb = MakesFolder(sentinel)
    objects = np.array([bomb], dtype=object)
    plain = pickle.dumps({"codes": bomb, "state_dict": bomb})
    made = {
        "pickle.pkl": plain,
        "pickle.bin": pickle.dumps(bomb, 2),
        "zip.pt": _written(lambda stream: torch.save({"weight": torch.ones(2), "x": bomb}, stream)),
        "old.th": _written(
            lambda stream: torch.save(
                {"weight": torch.ones(2), "x": bomb}, stream, _use_new_zipfile_serialization=False
            )
        ),
        "lightning.ckpt": _written(
            lambda stream: torch.save({"state_dict": {"weight": torch.ones(2)}, "x": bomb}, stream)
        ),
        "kmeans.joblib": _written(lambda stream: joblib.dump(bomb, stream)),
        "kmeans.gz": gzip.compress(plain),
        "array.npy": _written(lambda stream: np.save(stream, objects, allow_pickle=True)),
        "arrays.npz": _written(lambda stream: np.savez(stream, codes=objects, header=objects)),
        "tokens.dac": _written(lambda stream: np.save(stream, np.array({"codes": bomb}, object), allow_pickle=True)),
        "wrapped.zip": _zipped({"archive/data.pkl": plain, "archive/version": b"3\n"}),
        "model.nemo": _archived({"./model_config.yaml": b"a: 1\n", "./model_weights.ckpt": plain}),
    }
    return made


def _written(write: object) -> bytes:
    stream = io.BytesIO()
    write(stream)  # type: ignore[operator]
    return stream.getvalue()


def _zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _archived(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()
