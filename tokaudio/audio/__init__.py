"""Sound in and out: files read and written in blocks, shapes judged in one place, rates converted as a stream.

`as_audio` turns whatever holds sound into float32 `[B, C, S]`; `AudioReader`, `AudioWriter` and `StreamResampler` do
the same work on files of any length in bounded memory.
"""

from __future__ import annotations

from tokaudio.audio.checks import MAX_CHANNELS, MAX_PEAK, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, check_block
from tokaudio.audio.integrity import declared_shortfall
from tokaudio.audio.io import AudioInfo, AudioReader, audio_info, read_audio
from tokaudio.audio.resample import RESAMPLER, StreamResampler, resample, resampled_length
from tokaudio.audio.shape import Audio, as_audio, to_channels
from tokaudio.audio.writer import AudioWriter, write_audio

__all__ = [
    "MAX_CHANNELS",
    "MAX_PEAK",
    "MAX_SAMPLE_RATE",
    "MIN_SAMPLE_RATE",
    "RESAMPLER",
    "Audio",
    "AudioInfo",
    "AudioReader",
    "AudioWriter",
    "StreamResampler",
    "as_audio",
    "audio_info",
    "check_block",
    "declared_shortfall",
    "read_audio",
    "resample",
    "resampled_length",
    "to_channels",
    "write_audio",
]
