"""What model cards say of a pool of speech: sources, minutes, licences."""

from __future__ import annotations

from tokaudio.training.pool import AudioPool

LICENCES = {
    "festvox-ru": ("Russian, one speaker, Debian package", "BSD-like"),
    "asterisk-core-sounds-it-g722": ("Italian prompts, one speaker, Debian package", "CC-BY-3.0"),
    "asterisk-core-sounds-ru-g722": ("Russian prompts, one speaker, Debian package", "CC-BY-3.0"),
    "hibari": ("English sentences, synthetic, one voice", "Apache-2.0 (hibari-tts)"),
    "voices-read": ("English sentences, synthetic, 24 voices and 60 blends", "Apache-2.0 (Kokoro-82M), texts CC0"),
    "voices-intent": ("English requests, synthetic, the same 24 voices", "Apache-2.0 (Kokoro-82M), texts CC0"),
    "voices-keyword": ("English words, synthetic, the same 24 voices", "Apache-2.0 (Kokoro-82M), texts CC0"),
}

LIMITS = """## Limits

Speech only, 16 kHz, mono. Half of the training minutes are Russian or Italian from three speakers, and the English is
synthetic; there is no music, no noise and no overlapping speech. Credits are in the package's `assets/NOTICE.md`."""


def data_section(pool: AudioPool) -> list[str]:
    """Return the section on the data of a pool, line by line.

    Example:
        >>> from types import SimpleNamespace
        >>> from tokaudio.training.pool import Clip
        >>> clips = [Clip("a", "hibari", 0, 16_000 * 90), Clip("b", "hibari", 0, 16_000 * 30)]
        >>> data_section(SimpleNamespace(clips=clips, sample_rate=16_000, seconds=120.0))[4]
        '| `hibari` | English sentences, synthetic, one voice | 2.0 | Apache-2.0 (hibari-tts) |'
    """
    seconds: dict[str, float] = {}
    for clip in pool.clips:
        seconds[clip.source] = seconds.get(clip.source, 0.0) + clip.length / pool.sample_rate
    lines = ["## Data", "", "| source | what | minutes | licence |", "|---|---|---:|---|"]
    for source, duration in seconds.items():
        what, licence = LICENCES[source]
        lines.append(f"| `{source}` | {what} | {duration / 60:.1f} | {licence} |")
    return [*lines, "", f"{pool.seconds / 3600:.2f} hours in all, cut at random.", ""]
