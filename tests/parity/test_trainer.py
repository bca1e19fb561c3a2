"""A trainer that was not written here on what tokaudio writes: `transformers.Trainer` on a stream of `datasets`."""

from __future__ import annotations

import json
import warnings

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.storage.dataset_info import DatasetInfo, save_info
from tokaudio.storage.formats import shard_format
from tokaudio.storage.rows import TokenRow

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import datasets

SPEC = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(16), CodebookSpec(8)))


def write(folder):
    """Write two Parquet shards of codes that a model can learn: each follows from the one before."""
    info = DatasetInfo(SPEC, columns={"text": "string"})
    for shard in range(2):
        rows = []
        for number in range(8):
            first = (np.arange(10 + number) + 3 * shard) % 16
            codes = np.stack([first, first % 8]).astype(np.uint16)
            key = f"{shard}-{number}"
            rows.append(TokenRow(key, codes, 320 * codes.shape[1], 16_000, columns={"text": key}))
        shard_format("parquet").write_shard(folder / f"part-{shard:05}.parquet", rows, info)
    save_info(folder, info)
    return sorted(str(path) for path in folder.glob("*.parquet"))


def collate(rows):
    """What a trainer writes of its own, from the sizes that `tokaudio.json` says and without tokaudio."""
    ids = [(np.array(row["codes"]) + np.array([[1], [17]])).T.reshape(-1)[:40] for row in rows]
    batch = {name: torch.full((len(ids), 40), fill) for name, fill in (("input_ids", 0), ("labels", -100))}
    for place, row in enumerate(ids):
        for values in batch.values():
            values[place, : len(row)] = torch.from_numpy(row)
    return batch | {"attention_mask": (batch["labels"] != -100).long()}


def test_a_trainer_learns_from_a_stream_of_shards(tmp_path):
    (tmp_path / "data").mkdir()
    files = write(tmp_path / "data")
    document = json.loads((tmp_path / "data" / "tokaudio.json").read_text())
    sizes = [book["size"] for book in document["tokenizer"]["codebooks"]]
    assert sizes == [16, 8]
    stream = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=1 + sum(sizes), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, bos_token_id=None, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    arguments = TrainingArguments(
        str(tmp_path / "out"), max_steps=40, per_device_train_batch_size=4, learning_rate=1e-2, report_to=[],
        use_cpu=True, save_strategy="no", logging_steps=10, disable_tqdm=True, remove_unused_columns=False,
    )  # fmt: skip
    trainer = Trainer(LlamaForCausalLM(config), arguments, train_dataset=stream, data_collator=collate)
    trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert losses[-1] < 0.6 * losses[0]
