"""Token files in `.npz` format: one item each, readable with numpy alone.

A file is a zip of stored (uncompressed) `.npy` members, in this order:

| member | type | content |
|---|---|---|
| `header` | uint8 [N] | UTF-8 JSON, see below |
| `codes` | uint16 [K, T] | the codes; uint32 where a codebook has more than 65 536 of them |
| `num_samples` | int64 [] | audio samples that the item stands for, at the spec's sample rate |
| `depth` | uint8 [T] | only with variable depth: valid codebooks per frame; uint16 for more than 255 codebooks |
| `extras/NAME` | any number type | only with side information: the extra without its item dimension |
| `crc` | uint32 [] | CRC-32 (zlib), chained over the whole members above (array headers included), `.npy` by `.npy` |

The members enter `crc` in the order of the table, extras by name. The JSON object holds `format` ("tokaudio-tokens"),
`version` (1), `tokenizer` (its id), `fingerprint` (of its weights, empty where unknown), `spec`
(`TokenizerSpec.to_dict()`), `provenance` (text to text, such as the resampler), `extras` (names, sorted), `depth`
(whether there is one) and `tokaudio` (the version that wrote the file).

Plain numpy reads it: `file = numpy.load("speech.npz")`, `file["codes"]`, `json.loads(file["header"].tobytes())`.

The same tokens give the same bytes: members are not compressed and carry no time. Reading needs no pickle, checks
sizes before it allocates, and refuses a file in which any bit that matters has changed. `read_header` does not
import torch.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tokaudio import __version__
from tokaudio.atomic import atomic_stream
from tokaudio.errors import TokensError, one_line
from tokaudio.json_text import parse_json
from tokaudio.spec import TokenizerSpec
from tokaudio.storage._npy import Array, Layout, array_header
from tokaudio.storage._safe_npz import MAX_MEMBERS, SafeNpz, open_npz

if TYPE_CHECKING:
    from torch import Tensor

    from tokaudio.tokens import Tokens

Members = dict[str, tuple[np.dtype[Any], tuple[int, ...], Sequence[bytes | memoryview]]]
"""Name of a member -> its dtype, its shape, and its bytes in row-major order, in one or more parts."""

FORMAT = "tokaudio-tokens"
VERSION = 1
MAX_BYTES = 2**31

_MAX_HEADER_BYTES = 2**20
_MAX_EXTRAS = MAX_MEMBERS - 8
_HEADER_TYPES: dict[str, type] = {
    "format": str,
    "version": int,
    "tokenizer": str,
    "fingerprint": str,
    "spec": dict,
    "provenance": dict,
    "extras": list,
    "depth": bool,
    "tokaudio": str,
}


def write_npz(path: str | os.PathLike[str], tokens: Tokens, *, overwrite: bool = False) -> None:
    """Write one item to a `.npz` token file, whole or not at all.

    Raises:
        TokensError: more or fewer than one item, or extras that the format cannot hold.
        OutputError: the file exists and `overwrite` is false, or it cannot be written.

    Example:
        >>> import tempfile, torch
        >>> from tokaudio.tokens import CodebookSpec, Tokens
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> tokens = Tokens.from_codes(torch.tensor([[1, 2, 3]]), spec)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_npz(f"{folder}/toy.npz", tokens)
        ...     read_npz(f"{folder}/toy.npz") == tokens
        True
    """
    arrays = _to_arrays(path, tokens)
    members: Members = {
        name: (array.dtype, array.shape, [array.reshape(-1).view(np.uint8).data]) for name, array in arrays.items()
    }
    write_members(path, members, overwrite=overwrite)


def write_members(path: str | os.PathLike[str], members: Members, *, overwrite: bool) -> None:
    """Write arrays and their checksum to a token file; each is a dtype, a shape, and its bytes in row-major order.

    Raises:
        TokensError: more bytes than a token file may hold.
        OutputError: the file exists and `overwrite` is false, or it cannot be written.
    """
    headers = {name: array_header(dtype, shape) for name, (dtype, shape, _) in members.items()}
    total = sum(len(headers[name]) + sum(len(part) for part in parts) for name, (_, _, parts) in members.items())
    if total > MAX_BYTES - 2 * _MAX_HEADER_BYTES:
        remedy = "cut them with frames() and save the parts"
        raise TokensError(one_line(path, f"the tokens need over {MAX_BYTES:,} bytes", remedy))
    crc = 0
    with (
        atomic_stream(path, overwrite=overwrite) as stream,
        zipfile.ZipFile(stream, "w", allowZip64=False) as container,
    ):
        for name, (_, _, parts) in members.items():
            for content in (headers[name], *parts):
                crc = zlib.crc32(content, crc)
            _add_member(container, name, [headers[name], *parts])
        checksum = np.array(crc, "<u4")
        _add_member(container, "crc", [array_header(checksum.dtype, checksum.shape), checksum.tobytes()])


def read_npz(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> Tokens:
    """Read a `.npz` token file, whatever it may hold.

    Args:
        path: of the file.
        max_bytes: limit for the file and for what it unpacks to, checked before anything is allocated.

    Raises:
        TokensError: the file is not there, is no token file, is damaged, was written by a later version, or is
            larger than `max_bytes`.

    Example:
        >>> read_npz("not-there.npz")
        Traceback (most recent call last):
        tokaudio.errors.TokensError: not-there.npz: there is no such file; check the path
    """
    with open_npz(path, max_bytes) as file:
        header, spec, layouts = _read_facts(file)
        arrays = _read_arrays(file, list(layouts))
    return _from_arrays(path, header, spec, arrays)


def read_header(path: str | os.PathLike[str], *, verify: bool = False) -> dict[str, Any]:
    """Return the JSON header of a token file as a dictionary, with the size of its content.

    The keys `num_codebooks`, `num_frames` and `num_samples` are added to those of the file. Torch is not imported.

    Args:
        path: of the file.
        verify: also read the rest of the file and compare its checksum.

    Raises:
        TokensError: as `read_npz`, as far as the part that is read shows it.

    Example:
        >>> import tempfile, torch
        >>> from tokaudio.tokens import CodebookSpec, Tokens
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_npz(f"{folder}/toy.npz", Tokens.from_codes(torch.tensor([[1, 2, 3]]), spec))
        ...     header = read_header(f"{folder}/toy.npz")
        >>> header["tokenizer"], header["num_frames"], header["num_samples"]
        ('toy', 3, 960)
    """
    with open_npz(path, MAX_BYTES) as file:
        header, _, layouts = _read_facts(file)
        num_samples, _ = file.read("num_samples.npy")
        if verify:
            _read_arrays(file, list(layouts))
    codebooks, frames = layouts["codes"].shape
    return header | {"num_codebooks": codebooks, "num_frames": frames, "num_samples": int(num_samples)}


def _to_arrays(path: str | os.PathLike[str], tokens: Tokens) -> dict[str, Array]:
    """Return the members in the file's order, but for the checksum."""
    if len(tokens) != 1:
        remedy = "save tokens[i] one by one"
        raise TokensError(one_line(path, f"a token file holds one item and these tokens have {len(tokens)}", remedy))
    tokens = tokens.trim().to("cpu")
    if len(tokens.extras) > _MAX_EXTRAS:
        raise TokensError(one_line(path, f"{len(tokens.extras)} extras", f"save at most {_MAX_EXTRAS} in one file"))
    facts = (tokens.spec, tokens.fingerprint, tokens.provenance)
    arrays = {"header": make_header(path, *facts, extras=list(tokens.extras), depth=tokens.depth is not None)}
    arrays["codes"] = np.ascontiguousarray(tokens.codes[0].numpy(), codes_dtype(tokens.spec))
    arrays["num_samples"] = np.array(int(tokens.num_samples[0]), "<i8")
    if tokens.depth is not None:
        arrays["depth"] = np.ascontiguousarray(tokens.depth[0].numpy(), depth_dtype(tokens.spec))
    return arrays | {f"extras/{name}": extra_array(path, name, value[0]) for name, value in tokens.extras.items()}


def extra_array(path: str | os.PathLike[str], name: str, value: Tensor) -> Array:
    """Return an extra of one item as a token file holds it.

    Raises:
        TokensError: if it is of a type that token files do not hold.
    """
    try:
        # order="C" and not ascontiguousarray, which would turn a single number into a vector
        extra = np.array(value.cpu().numpy(), order="C")
    except TypeError:
        remedy = "convert it, to float32 for example"
        raise TokensError(one_line(path, f"the extra {name} is of {value.dtype}", remedy)) from None
    if extra.dtype.kind == "c":
        raise TokensError(one_line(path, f"the extra {name} is complex", "save its real view, torch.view_as_real"))
    return extra.astype(extra.dtype.newbyteorder("<"), copy=False)


def make_header(
    path: str | os.PathLike[str],
    spec: TokenizerSpec,
    fingerprint: str,
    provenance: Mapping[str, str],
    *,
    extras: Sequence[str] = (),
    depth: bool = False,
) -> Array:
    """Return the JSON header as bytes in an array; names of extras, and whether there is a depth.

    Raises:
        TokensError: a header that would be too large.
    """
    header = {
        "format": FORMAT,
        "version": VERSION,
        "tokenizer": spec.name,
        "fingerprint": fingerprint,
        "spec": spec.to_dict(),
        "provenance": dict(provenance),
        "extras": list(extras),
        "depth": depth,
        "tokaudio": __version__,
    }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    if len(text) > _MAX_HEADER_BYTES - 4096:
        remedy = "shorten the provenance and the spec's texts"
        raise TokensError(one_line(path, f"the facts about the tokens need {len(text):,} bytes", remedy))
    return np.frombuffer(text, np.uint8)


def codes_dtype(spec: TokenizerSpec) -> np.dtype[Any]:
    """Return the type that a token file holds codes in: uint16, or uint32 where a codebook is larger than 65,536."""
    return np.dtype("<u4" if spec.code_dtype == "uint32" else "<u2")


def depth_dtype(spec: TokenizerSpec) -> np.dtype[Any]:
    """Return the type that a token file holds depths in: uint8, or uint16 for more than 255 codebooks."""
    return np.dtype("|u1" if spec.num_codebooks <= 255 else "<u2")


def _add_member(container: zipfile.ZipFile, name: str, parts: Sequence[bytes | memoryview]) -> None:
    info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system, info.external_attr = 3, 0o644 << 16
    with container.open(info, "w") as member:
        for part in parts:
            member.write(part)


def _read_facts(file: SafeNpz) -> tuple[dict[str, Any], TokenizerSpec, dict[str, Layout]]:
    """Return the JSON header, the spec, and the checked layout of each member in order, but for the checksum."""
    if "header.npy" not in file.names:
        file.damaged("it has no header")
    raw, _ = file.read("header.npy", max_bytes=_MAX_HEADER_BYTES)
    if raw.dtype != np.uint8 or raw.ndim != 1:
        file.damaged("its header is not text")
    header = parse_json(raw.tobytes())
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        file.damaged("its header is not that of a token file")
    version = header.get("version")
    if isinstance(version, int) and version > VERSION:
        file.refuse(f"it has format version {version} and this tokaudio knows {VERSION}", "upgrade tokaudio")
    for key, kind in _HEADER_TYPES.items():
        if not isinstance(header.get(key), kind):
            file.damaged(f"the field {key} of its header is missing or not of type {kind.__name__}")
    if header["version"] != VERSION:
        file.damaged(f"its format version is {header['version']}")
    texts = [header["fingerprint"], header["tokaudio"], *header["provenance"], *header["provenance"].values()]
    if not all(isinstance(text, str) and text.isprintable() for text in [*texts, *header["extras"]]):
        file.damaged("its header holds something else than printable text")
    spec = _parse_spec(file, header)
    members = ["header", "codes", "num_samples", *["depth"] * header["depth"]]
    members += [f"extras/{name}" for name in header["extras"]]
    if sorted(file.names) != sorted(f"{name}.npy" for name in [*members, "crc"]):
        file.damaged("its members are not those that its header lists")
    layouts = {name: file.layout(f"{name}.npy") for name in members}
    frames = layouts["codes"].shape[-1:]
    wanted = {"codes": (codes_dtype(spec), (spec.num_codebooks, *frames)), "num_samples": (np.dtype("<i8"), ())}
    wanted["depth"] = (depth_dtype(spec), frames)
    for name, layout in layouts.items():
        if name in wanted and (layout.dtype, layout.shape) != wanted[name]:
            file.damaged(f"the member {name} has an unexpected type or shape")
    return header, spec, layouts


def _parse_spec(file: SafeNpz, header: dict[str, Any]) -> TokenizerSpec:
    try:
        spec = TokenizerSpec.from_dict(header["spec"])
    except TokensError as error:
        file.damaged(f"its spec is not valid: {error}".replace(";", ","))
    if header["tokenizer"] != spec.name:
        file.damaged("its header names two tokenizers")
    return spec


def _read_arrays(file: SafeNpz, names: list[str]) -> dict[str, Array]:
    """Return the arrays of the named members, after comparing their checksum."""
    arrays, crc = {}, 0
    for name in names:
        arrays[name], crc = file.read(f"{name}.npy", crc)
    stored, _ = file.read("crc.npy", max_bytes=_MAX_HEADER_BYTES)
    if stored.dtype != np.dtype("<u4") or stored.shape != () or int(stored) != crc:
        file.damaged("its checksum does not match")
    return arrays


def _from_arrays(
    path: str | os.PathLike[str], header: dict[str, Any], spec: TokenizerSpec, arrays: dict[str, Array]
) -> Tokens:
    import torch

    from tokaudio.tokens import Tokens

    codes, depth = arrays["codes"], arrays.get("depth")
    try:
        return Tokens(
            torch.from_numpy(codes.astype(np.int64))[None],
            torch.tensor([codes.shape[1]]),
            torch.from_numpy(arrays["num_samples"].astype(np.int64).reshape(1)),
            spec,
            header["fingerprint"],
            {name: torch.from_numpy(arrays[f"extras/{name}"])[None] for name in header["extras"]},
            None if depth is None else torch.from_numpy(depth.astype(np.int64))[None],
            header["provenance"],
        )
    except TokensError as error:
        problem, _, remedy = str(error).rpartition("; ")
        raise TokensError(one_line(path, f"its content is not valid: {problem}", remedy)) from error
