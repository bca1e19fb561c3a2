"""Published checkpoint files, read without trusting them.

[`read_checkpoint`][tokaudio.checkpoints.read_checkpoint] takes safetensors, files of `torch.save`, `.nemo` archives,
ONNX and CTranslate2 models, and gives tensors by name; no code of a file is ever run.
[`fold_weight_norm`][tokaudio.checkpoints.fold_weight_norm] and [`check_tensors`][tokaudio.checkpoints.check_tensors]
make them what a network expects.
"""

from tokaudio.checkpoints.checks import check_tensors
from tokaudio.checkpoints.reading import Checkpoint, read_checkpoint, read_shapes
from tokaudio.checkpoints.weight_norm import fold_weight_norm, folded_names

__all__ = ["Checkpoint", "check_tensors", "fold_weight_norm", "folded_names", "read_checkpoint", "read_shapes"]
