"""Pictures of codes and of what they mean. Every function draws into matplotlib Axes and returns them.

    axes = codes_under_spectrogram(tokens, samples, sample_rate)
    axes[0].figure.savefig("codes.png")

    role_heat_map(report.associations, ax=my_axes)

Without Axes, a figure is made for them: `axes.figure`. Needs matplotlib: `pip install 'tokaudio[viz]'`.
"""

from __future__ import annotations

from tokaudio.plot.measures import (
    band_attribution,
    codebook_map,
    prototype,
    rarefaction,
    robustness,
    role_heat_map,
)
from tokaudio.plot.sounds import codes, codes_under_spectrogram, spectrogram

__all__ = [
    "band_attribution",
    "codebook_map",
    "codes",
    "codes_under_spectrogram",
    "prototype",
    "rarefaction",
    "robustness",
    "role_heat_map",
    "spectrogram",
]
