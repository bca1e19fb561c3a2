"""A codebook report put together from recordings that come one after the other.

builder = ReportBuilder(tokenizer.spec)
builder.add(tokens, heard, annotation)
builder.finish().sentences()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from tokaudio.analysis.annotated.annotations import Annotation
from tokaudio.analysis.codebook_report import Report
from tokaudio.analysis.codes.code_measures import CodeMeasures
from tokaudio.analysis.codes.code_streams import recordings_of
from tokaudio.analysis.frames.associations import associations, labels_of
from tokaudio.analysis.frames.frame_measures import increments, probes
from tokaudio.analysis.frames.observing import Column, Heard, named, vocabularies
from tokaudio.analysis.frames.sampling import LIMIT, FrameSample, SampledFrames
from tokaudio.analysis.roles import roles
from tokaudio.analysis.sections import Section
from tokaudio.errors import TokensError, one_line
from tokaudio.spec import TokenizerSpec
from tokaudio.tokens import Tokens


class ReportBuilder:
    """Puts a report together from recordings that come one after the other.

    Args:
        spec: of the tokenizer.
        fingerprint: of its weights.
        limit: frames that information is computed from at most.
        seed: of everything random.

    Example:
        >>> import torch
        >>> from tokaudio.spec import CodebookSpec
        >>> builder = ReportBuilder(TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),)))
        >>> for number in range(30):
        ...     codes = torch.arange(60).roll(number)[None] % 8
        ...     known = Annotation(facts={"speaker": str(number % 2)})
        ...     _ = builder.add(Tokens.from_codes(codes, builder.spec), None, known)
        >>> builder.finish().sentences()
        ['Codebook 0: nothing that can be told from chance.']
    """

    def __init__(self, spec: TokenizerSpec, *, fingerprint: str = "", limit: int = LIMIT, seed: int = 0) -> None:
        self.spec, self._fingerprint, self._seed = spec, fingerprint, seed
        self._sample, self._codes = FrameSample(limit, seed=seed), CodeMeasures(spec, seed=seed)
        self._vocabularies = vocabularies()
        self._heard = self._unknown = 0
        self._seconds = 0.0
        self.frames = self.failed = self.unlabelled = 0

    @property
    def phone_names(self) -> list[str]:
        """All phones so far, by number."""
        return self._vocabularies["phone"].names

    def add(self, tokens: Tokens, heard: Heard | None, annotation: Annotation | None) -> dict[str, Column]:
        """Take one recording.

        Args:
            tokens: of one item, of this tokenizer.
            heard: what can be heard in it; None where there is no sound.
            annotation: what is known about it; None for nothing.

        Returns:
            What is known about its frames: values and numbers of labels `[T]`, by attribute.

        Raises:
            TokensError: if the tokens are another tokenizer's, or not of one item.
        """
        if tokens.spec.name != self.spec.name or tokens.spec.codebooks != self.spec.codebooks:
            problem = f"its tokens were made by {tokens.spec.name} with other codebooks than {self.spec.name}'s"
            raise TokensError(one_line("tokens", problem, "analyse the tokens of one tokenizer at a time"))
        if len(tokens) != 1:
            raise TokensError(f"{len(tokens)} items; give one at a time")
        codes = next(recordings_of(tokens))
        count = codes.shape[1]
        columns = {} if heard is None else heard.columns(self.spec, count)
        if annotation is not None:
            labels, unknown = named(annotation, self._vocabularies, self.spec, count)
            columns |= labels
            self._unknown += unknown
        self._sample.add(codes, columns)
        self._codes.add(codes)
        self._heard += heard is not None
        self._seconds += int(tokens.num_samples[0]) / self.spec.sample_rate
        self.frames += count
        return columns

    def finish(
        self,
        measured: Callable[[int, int], None] | None = None,
        *,
        vectors: Sequence[Tensor] = (),
        sections: Mapping[str, Section | None] | None = None,
        notes: Sequence[str] = (),
    ) -> Report:
        """Return the report.

        Args:
            measured: called with how many codebooks are done, and how many there are.
            vectors: of each codebook `[V, D]`, for linear probes; none if there is none of them.
            sections: further parts.
            notes: on them.

        Raises:
            AnalysisError: if there is no frame.
        """
        frames = self._sample.finish()
        labels, missing = labels_of(frames.columns)
        found = associations(frames, seed=self._seed, advance=measured) if labels else []
        parts, told = self._codes.finish(frames.codes)
        parts["incremental"] = increments(frames, labels, seed=self._seed) if labels else None
        parts["probes"] = probes(frames, list(labels), vectors) if labels and vectors else None
        return Report(
            _facts_of(self.spec, self._fingerprint),
            self._facts(frames.codes.shape[1]),
            tuple(found),
            roles(found),
            parts | dict(sections or {}),
            (*self._notes(frames, missing), *told, *notes),
        )

    def _notes(self, frames: SampledFrames, missing: Sequence[str]) -> Iterator[str]:
        yield from (f"Left out: {note}" for note in missing)
        if not self._heard:
            yield "There was no sound: nothing is said about pitch, energy and the spectrum."
        if frames.seen > frames.codes.shape[1]:
            yield f"Information is of {frames.codes.shape[1]} frames, drawn at random from {frames.seen}."
        if not frames.by_recording and frames.columns:
            yield (
                f"Recordings are few ({frames.recordings}): intervals are from stretches of time, as if these were "
                "recordings of their own, and are too narrow for other voices and rooms."
            )
        if self.failed:
            yield f"Recordings that could not be read and were left out: {self.failed}."
        if self.unlabelled:
            yield f"Recordings without labels that can be used: {self.unlabelled}; their frames count elsewhere only."
        if self._unknown:
            yield f"Frames whose labels are unknown ones (spn and the like) and were left out: {self._unknown}."

    def _facts(self, sampled: int) -> dict[str, int | float]:
        named = {f"different_{kind}s": len(one.names) for kind, one in self._vocabularies.items() if one.names}
        return {
            "recordings": self._sample.recordings,
            "seconds": self._seconds,
            "frames": self.frames,
            "sampled_frames": sampled,
            "failed_recordings": self.failed,
            "unlabelled_recordings": self.unlabelled,
            "unknown_label_frames": self._unknown,
            **named,
            "seed": self._seed,
        }


def _facts_of(spec: TokenizerSpec, fingerprint: str) -> dict[str, Any]:
    return {
        "name": spec.name,
        "kind": spec.kind,
        "fingerprint": fingerprint,
        "sample_rate": spec.sample_rate,
        "frame_rate": float(spec.frame_rate),
        "bitrate_bps": spec.bitrate_bps,
        "codebook_sizes": list(spec.codebook_sizes),
        "codebook_roles": [codebook.role for codebook in spec.codebooks],
    }
