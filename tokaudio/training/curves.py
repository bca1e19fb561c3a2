"""Curves of a training: for TensorBoard where that is installed, and as a picture where matplotlib is."""

from __future__ import annotations

import importlib.util
import json
import logging
from pathlib import Path
from typing import Any

import torch

_PANELS = (("loss", "mel", "magnitude", "complex"), ("commitment", "semantic", "heads"), ("usage",))


class Curves:
    """Takes figures as they come, and draws them at the end.

    Args:
        folder: of the run; `tensorboard/` and `curves.png` are made there.
        done: steps that are taken already; later ones of an earlier run are forgotten.

    Example:
        >>> import tempfile
        >>> curves = Curves(Path(tempfile.mkdtemp()), 0)
        >>> curves.add(50, {"loss": 1.0})
        >>> curves.close()
    """

    def __init__(self, folder: Path, done: int) -> None:
        self.folder = folder
        self._writer: Any = None
        if importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=done)

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Take the figures of a step."""
        if self._writer is not None:
            for name, value in figures.items():
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Draw all figures of `log.jsonl`."""
        if self._writer is not None:
            self._writer.close()
        log = self.folder / "log.jsonl"
        if importlib.util.find_spec("matplotlib") and log.is_file():
            draw_curves([json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()], self.folder)


def draw_curves(rows: list[dict[str, float]], folder: Path) -> Path:
    """Draw figures over steps to `curves.png` in a folder, and return its path. Needs matplotlib.

    Args:
        rows: lines of a log, each with `step`.
        folder: which is there.
    """
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # type: ignore[import-not-found, unused-ignore]
    from matplotlib.figure import Figure  # type: ignore[import-not-found, unused-ignore]

    figure = Figure(figsize=(8, 3 * len(_PANELS)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, names in zip(figure.subplots(len(_PANELS), 1), _PANELS, strict=True):
        shown = sorted({name for row in rows for name in row if name.split("_")[0] in names})
        for name in shown:
            points = [(row["step"], row[name]) for row in rows if name in row]
            axes.plot(*torch.tensor(points).T.tolist(), label=name)
        axes.set_xlabel("step")
        if shown:
            axes.legend(fontsize="small")
    figure.savefig(folder / "curves.png", dpi=120)
    return folder / "curves.png"
