"""`tokaudio info`: what is inside a token file, an audio file or a tokenizer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tokaudio.cli import options
from tokaudio.cli.batch import TOKEN_SUFFIXES
from tokaudio.cli.failures import refuse
from tokaudio.cli.list import books, rates
from tokaudio.cli.report import emit, emit_json, listing
from tokaudio.errors import AudioError, one_line

if TYPE_CHECKING:
    from tokaudio.audio import AudioInfo
    from tokaudio.spec import TokenizerSpec

Facts = dict[str, Any]


def info(
    subject: Annotated[
        str,
        typer.Argument(metavar="NAME|FILE", help="Token file, audio file, tokenizer or folder."),
    ],
    tokenizer: options.TokenizerName = "mini-codec",
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """Say what is inside a token file, an audio file or a tokenizer.

    For an audio file, also how the tokenizer of -t would treat it.
    """
    from tokaudio.catalogue import find

    path = Path(subject)
    folder = path.is_dir()
    if path.suffix.lower() in TOKEN_SUFFIXES and not folder:
        facts, shown = _about_tokens(subject)
    elif os.path.lexists(subject) and not folder:
        facts, shown = _about_audio(subject, tokenizer)
    elif not folder and (os.sep in subject or path.suffix) and find(subject) is None:
        raise AudioError(one_line(subject, "no such file", "check the path"))
    elif folder and not (path / "config.json").is_file():
        raise refuse(subject, "is a folder without a tokenizer", "name a file in it, or a folder of save_pretrained")
    else:
        facts, shown = _about_tokenizer(subject)
    if as_json:
        emit_json(facts)
    else:
        emit(listing(shown))
    return 0


def _about_tokens(path: str) -> tuple[Facts, Facts]:
    from tokaudio.spec import TokenizerSpec
    from tokaudio.storage.npz import read_header

    header = read_header(path, verify=True)
    spec = TokenizerSpec.from_dict(header["spec"])
    seconds = header["num_samples"] / spec.sample_rate
    size = Path(path).stat().st_size
    facts = {"type": "tokens", "path": path, "bytes": size, "seconds": seconds, **header, "spec": rates(spec)}
    shown: Facts = {
        "file": f"{path} (tokens, {size:,} bytes, checksum fine)",
        "tokenizer": header["tokenizer"],
        "weights": header["fingerprint"] or "not stated",
        "duration": f"{seconds:.3f} s ({header['num_samples']:,} samples at {spec.sample_rate} Hz)",
        "codes": f"{header['num_codebooks']} codebooks x {header['num_frames']:,} frames",
        **_spec_lines(spec),
        "variable depth": "yes" if header["depth"] else "no",
        "extras": ", ".join(header["extras"]) or "none",
        "format": f"{header['format']} {header['version']}, written by tokaudio {header['tokaudio']}",
        **header["provenance"],
    }
    return facts, shown


def _about_audio(path: str, tokenizer: str) -> tuple[Facts, Facts]:
    from tokaudio.audio import audio_info

    about = audio_info(path)
    spec = _spec_of(tokenizer)
    size = Path(path).stat().st_size
    treatment = _treatment(about, spec)
    facts = {
        "type": "audio",
        "path": path,
        "bytes": size,
        "format": about.format,
        "subtype": about.subtype,
        "sample_rate": about.sample_rate,
        "channels": about.channels,
        "num_samples": about.frames,
        "seconds": about.duration,
        "truncated": about.truncated,
        "treatment": treatment,
    }
    length = "not stated in the file" if about.frames is None else f"{about.duration:.3f} s ({about.frames:,} samples)"
    shown: Facts = {
        "file": f"{path} (audio, {size:,} bytes)",
        "format": f"{about.format}, {about.subtype}",
        "sample rate": f"{about.sample_rate} Hz",
        "channels": about.channels,
        "duration": length,
        "cut off": "yes; refused unless --allow-truncated" if about.truncated else "no",
        f"with {spec.name}": "; ".join(treatment["steps"]) or "taken as it is",
    }
    if treatment["frames"] is not None:
        shown["would give"] = (
            f"{spec.num_codebooks} codebooks x {treatment['frames']:,} frames at {spec.bitrate_kbps:.4g} kbps"
        )
    return facts, shown


def _treatment(about: AudioInfo, spec: TokenizerSpec) -> Facts:
    """Return what encoding would do to a file, in words, and how many frames would come out."""
    from tokaudio.audio import RESAMPLER, resampled_length

    steps = []
    if about.channels != spec.channels:
        many = "averaged to 1 channel" if spec.channels == 1 else f"repeated to {spec.channels}"
        steps.append(f"{about.channels} channel{'s' * (about.channels != 1)} {many}")
    if about.sample_rate != spec.sample_rate:
        steps.append(f"resampled from {about.sample_rate} to {spec.sample_rate} Hz by {RESAMPLER}")
    frames = None
    if about.frames is not None:
        frames = spec.num_frames(resampled_length(about.frames, about.sample_rate, spec.sample_rate))
    return {"tokenizer": spec.name, "steps": steps, "frames": frames}


def _spec_of(name: str) -> TokenizerSpec:
    from tokaudio.catalogue import builtin_folder
    from tokaudio.spec import TokenizerSpec
    from tokaudio.tokenizers import tokenizer_spec
    from tokaudio.tokenizers.pretrained import read_config

    if builtin_folder(name) is None and Path(name).is_dir():
        return TokenizerSpec.from_dict(read_config(Path(name) / "config.json")["spec"])
    return tokenizer_spec(name)


def _about_tokenizer(name: str) -> tuple[Facts, Facts]:
    from tokaudio.cli.loading import choose_device, open_tokenizer

    model = open_tokenizer(name, choose_device("cpu"))
    count = sum(value.numel() for value in model.state_dict().values())
    facts = {"type": "tokenizer", "name": model.spec.name, "fingerprint": model.fingerprint, "parameters": count}
    shown: Facts = {
        "tokenizer": model.spec.name,
        "kind": model.spec.kind,
        "weights": model.fingerprint,
        "parameters": f"{count:,}",
        **_spec_lines(model.spec),
        "paper": model.spec.paper or "none",
        "origin": model.spec.origin or "not stated",
    }
    return {**facts, "spec": rates(model.spec), "config": model.config()}, shown


def _spec_lines(spec: TokenizerSpec) -> Facts:
    strides = sorted({codebook.stride for codebook in spec.codebooks})
    roles = sorted({codebook.role for codebook in spec.codebooks})
    return {
        "sample rate": f"{spec.sample_rate} Hz in, {spec.output_sample_rate} Hz out",
        "channels": spec.channels,
        "frame rate": f"{float(spec.frame_rate):g} Hz (hop of {spec.hop_length} samples)",
        "codebooks": f"{books(spec)} ({', '.join(roles)})" + (f", strides {strides}" if strides != [1] else ""),
        "token rate": f"{float(spec.token_rate):g} per second",
        "bitrate": f"{spec.bitrate_kbps:.4g} kbps",
        "causal": "yes" if spec.causal else "no",
        "chunking": spec.chunking,
        "licence": spec.licence or "not stated",
    }
