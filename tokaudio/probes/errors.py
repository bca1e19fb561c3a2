"""The error of probes: results, data or scores that cannot be used."""

from __future__ import annotations

from tokaudio.errors import TokaudioError


class ProbeError(TokaudioError, ValueError):
    """Results, data sets, splits or scores that cannot be used or do not go together."""
