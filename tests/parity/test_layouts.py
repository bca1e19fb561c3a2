"""Layouts beside transformers: the delay patterns of MusicGen and Moshi, and models that read collated batches."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from moshi.models import loaders
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MoshiForConditionalGeneration,
    MusicgenForCausalLM,
    Trainer,
    TrainingArguments,
)

from tests.layouts.shapes import codes_of, spec_of
from tests.near import assert_near
from tokaudio.catalogue import tokenizer_spec
from tokaudio.layouts import FlatLayout, GridLayout, RowCollator, acoustic_delays, musicgen_delays

SPEC = spec_of((1,) * 4, [16] * 4)


@pytest.mark.parametrize("frames", [4, 9])
@pytest.mark.parametrize("channels", [1, 2])
def test_musicgen_delays(frames, channels):
    layout = GridLayout(SPEC, delays=musicgen_delays(4, channels=channels), lead=1)
    codes = torch.from_numpy(codes_of(SPEC, frames))
    rows = layout.encode_codes(codes)
    pad = layout.before
    model = SimpleNamespace(num_codebooks=4, config=SimpleNamespace(audio_channels=channels))
    # Theirs starts from a first step of padding, and leaves -1 where the model shall write.
    prompt = torch.cat([torch.full((4, 1), pad), codes], dim=1)
    _, pattern = MusicgenForCausalLM.build_delay_pattern_mask(model, prompt, pad, rows.shape[1])
    assert torch.equal(pattern, rows)
    free = MusicgenForCausalLM.build_delay_pattern_mask(model, prompt[:, :1], pad, rows.shape[1])[1]
    assert torch.equal(MusicgenForCausalLM.apply_delay_pattern_mask(rows, free), rows)
    assert torch.equal(layout.decode_ids(pattern), codes)


def test_moshi_acoustic_delay():
    layout = GridLayout(SPEC, delays=acoustic_delays(SPEC), before=16, after=17)
    codes = torch.from_numpy(codes_of(SPEC, 6))
    rows = layout.encode_codes(codes)
    model = SimpleNamespace(generation_config=SimpleNamespace(max_length=7))
    _, pattern = MoshiForConditionalGeneration.build_delay_pattern_mask(model, codes[None], 16, 17, max_length=7)
    assert torch.equal(pattern[0], rows)


def test_moshi_delays_of_the_original():
    """Its text comes first, then the eight codebooks of its own voice, then those of the other's."""
    delays = loaders._lm_kwargs["delays"]
    own = acoustic_delays(tokenizer_spec("mimi").select(8))
    assert tuple(delays) == (0, *own, *own)


def tiny(vocabulary):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary.size, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, bos_token_id=None, eos_token_id=None, pad_token_id=vocabulary.special("pad"),
    )  # fmt: skip
    return LlamaForCausalLM(config)


@pytest.mark.parametrize("mask", ["block", "none"])
def test_a_packed_batch_gives_the_logits_of_each_example_alone(mask):
    layout = FlatLayout(SPEC)
    model = tiny(layout.vocabulary).eval()
    examples = [layout.encode_codes(codes_of(SPEC, n, n)) for n in (2, 3, 1)]
    packed = RowCollator(pad=layout.vocabulary.special("pad"), max_length=24, packed=True, mask=mask)(examples)
    assert packed["input_ids"].shape[0] == 1
    padded = RowCollator(pad=layout.vocabulary.special("pad"))(examples)
    with torch.no_grad():
        together = model(**packed, use_cache=False).logits[0]  # with a cache, models do not look at the positions
        alone = model(**padded).logits
    assert_near(together[:24], torch.cat([row[: len(ids)] for row, ids in zip(alone, examples, strict=True)]))


def test_labels_teach_a_trainer_of_transformers(tmp_path):
    layout = FlatLayout(SPEC)
    model = tiny(layout.vocabulary)
    data = [{"input_ids": layout.encode_codes(codes_of(SPEC, 5, 0)).tolist()} for _ in range(16)]
    arguments = TrainingArguments(
        str(tmp_path), max_steps=30, per_device_train_batch_size=4, learning_rate=1e-2, report_to=[], use_cpu=True,
        save_strategy="no", logging_steps=10, disable_tqdm=True,
    )  # fmt: skip
    collator = RowCollator.for_vocabulary(layout.vocabulary, max_length=48, packed=True)
    trainer = Trainer(model, arguments, train_dataset=data, data_collator=collator)
    trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert losses[-1] < 0.7 * losses[0]
