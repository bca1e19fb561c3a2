"""How good a reconstruction is: metrics over waveforms and transcripts, each with its source.

Every module follows one habit: `validate` judges the input, one function per metric computes it, `evaluate` returns
all metrics of the module as a dictionary. Waveforms are numpy arrays of shape `[S]`; results are plain floats.

- [`error_rates`][tokaudio.metrics.error_rates]: word and character errors of each recording.
- [`intelligibility`][tokaudio.metrics.intelligibility]: STOI and word error rate (extra `[metrics]`).
- [`spectral`][tokaudio.metrics.spectral]: mel distance.
- [`verification`][tokaudio.metrics.verification]: equal error rate and detection cost.
"""
