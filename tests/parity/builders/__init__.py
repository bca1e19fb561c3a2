"""The reference of every family, with filled weights: `build(name)` makes one.

A family's author adds a line to `FAMILIES` and writes `builders/<family>.py` with

    def build(variant: str, *, seed: int, full_size: bool) -> Peer

`variant` is the name's part after the colon in `FAMILIES`. With `full_size` false, channel widths are reduced, but
every layer kind, ratio, kernel, number of codebooks and codebook size stays that of the published model: parity
tests take seconds. The benchmark builds with `full_size` true. Oracles are imported inside functions.
"""

from __future__ import annotations

import functools
import importlib

from tests.parity.peer import Peer, reference_mode

# Name of a reference -> module in this folder : variant given to its `build`.
FAMILIES: dict[str, str] = {
    "encodec-24k": "encodec:24k",
    "encodec-32k": "encodec:32k",
    "encodec-48k": "encodec:48k",
    "encodec-48k-original": "encodec:48k-original",
    "dac-16k": "dac:16k",
    "dac-24k": "dac:24k",
    "dac-44k": "dac:44k",
    "dac-16k-descript": "dac:16k-descript",
    "dac-24k-descript": "dac:24k-descript",
    "dac-44k-descript": "dac:44k-descript",
    "dac-44k-16kbps-descript": "dac:44k-16kbps-descript",
    "snac-24k": "snac:24k",
    "snac-32k": "snac:32k",
    "snac-44k": "snac:44k",
    "mimi": "mimi:transformers",
    "mimi-moshi": "mimi:moshi",
    "bigcodec": "bigcodec:",
    "facodec": "facodec:",
    "focalcodec-50hz": "focalcodec:50hz",
    "focalcodec-25hz": "focalcodec:25hz",
    "focalcodec-12.5hz": "focalcodec:12.5hz",
    "nanocodec-0.6kbps": "nanocodec:0.6kbps",
    "nanocodec-1.78kbps": "nanocodec:1.78kbps",
    "nanocodec-1.89kbps": "nanocodec:1.89kbps",
    "qwen3tts": "qwen3tts:",
    "s3tokenizer-v1-50hz": "s3tokenizer:v1-50hz",
    "s3tokenizer-v1-25hz": "s3tokenizer:v1-25hz",
    "s3tokenizer-v2": "s3tokenizer:v2",
    "s3tokenizer-v3": "s3tokenizer:v3",
    "speechtokenizer": "speechtokenizer:elu",
    "speechtokenizer-snake": "speechtokenizer:snake",
    "xcodec": "xcodec:xcodec-hubert",
    "xcodec-wavlm": "xcodec:xcodec-wavlm",
    "xcodec-original": "xcodec:xcodec-hubert-original",
    "xcodec-wavlm-original": "xcodec:xcodec-wavlm-original",
    "higgs": "xcodec:higgs-hubert",
    "higgs-original": "xcodec:higgs-hubert-original",
    "stable-codec": "stablecodec:plain",
    "stable-codec-snake": "stablecodec:snake",
    "wavtokenizer-40": "wavtokenizer:40",
    "wavtokenizer-75": "wavtokenizer:75",
    "xcodec2": "xcodec2:xcodec2",
    "neucodec": "xcodec2:neucodec",
    "dualcodec-12hz": "dualcodec:12hz",
    "dualcodec-25hz": "dualcodec:25hz",
}


@functools.cache
def build(name: str, *, seed: int = 0, full_size: bool = False) -> Peer:
    """Return the reference of a name in `FAMILIES`, with weights filled from a seed; made once, so do not change it.

    Raises:
        KeyError: no such name.

    Example:
        >>> FAMILIES["dac-16k-descript"]
        'dac:16k-descript'
    """
    module, _, variant = FAMILIES[name].partition(":")
    with reference_mode():
        family = importlib.import_module(f"tests.parity.builders.{module}")
        peer: Peer = family.build(variant, seed=seed, full_size=full_size)
    return peer
