"""What can be loaded by name, as plain facts: the tokenizers inside the package, and the published ones.

Nothing here imports torch or touches the network. The facts of the built-in tokenizers lie in their `config.json`,
those of the published ones in `assets/published.toml`, which says what its fields mean.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from tokaudio.errors import UnknownNameError
from tokaudio.spec import CodebookSpec, Kind, TokenizerSpec

Status = Literal["built-in", "verified", "by parts", "unverified", "planned"]

_ASSETS = Path(str(files("tokaudio") / "assets"))
_RATES = (
    "sample_rate",
    "hop_length",
    "decode_sample_rate",
    "channels",
    "causal",
    "chunking",
    "frame_multiple",
    "least_padding",
    "segment_length",
    "segment_stride",
    "paper",
    "origin",
)


@dataclass(frozen=True)
class Entry:
    """One tokenizer that has a name.

    Attributes:
        spec: name, kind, rates, codebooks, licence, paper, origin.
        family: the implementation that reads it.
        status: `built-in`, or whether its codes were compared with a running reference: `verified`, `by parts`,
            `unverified`; `planned` where the family does not exist yet.
        repo: repository on the Hub; empty for built-in tokenizers, and for those that are published elsewhere.
        revision: branch, tag or commit that is loaded where the caller asks for none.
        files: names in `repo`; those of another repository are written `OWNER/NAME:FILE`.
        originals: file names of the first release, each with its SHA-256, the first digits of it, or nothing.
        aliases: further names.
        sha256: SHA-256 of `files`, where it is known.
        backbone: of k-means in pickles, which are converted once and never opened on load: the repository of its speech
            model.
    """

    spec: TokenizerSpec
    family: str
    status: Status
    repo: str = ""
    revision: str = "main"
    files: tuple[str, ...] = ()
    originals: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    sha256: Mapping[str, str] = field(default_factory=dict)
    backbone: str = ""

    @property
    def name(self) -> str:
        """The name that goes into token files."""
        return self.spec.name

    @property
    def where(self) -> Literal["built-in", "hub", "files"]:
        """Where its weights come from: the package, the Hub, or files that the user has to fetch."""
        return "built-in" if self.status == "built-in" else "hub" if self.repo and not self.backbone else "files"


def builtin_folder(name: str) -> Path | None:
    """Return the folder of a tokenizer that ships inside the package, or None.

    Example:
        >>> builtin_folder("mini-codec").name, builtin_folder("mimi")
        ('mini-codec', None)
    """
    folder = _ASSETS / name
    known = Path(name).name == name and (folder / "config.json").is_file()
    return folder if known else None


@cache
def published() -> tuple[Entry, ...]:
    """Return every published tokenizer that is known, also those of families that are only planned.

    Example:
        >>> [entry.repo for entry in published() if entry.family == "mimi"]
        ['kyutai/mimi', 'kyutai/moshiko-pytorch-bf16']
    """
    data = tomllib.loads((_ASSETS / "published.toml").read_text(encoding="utf-8"))
    return tuple(_entry({**data["family"][table["family"]], **table}) for table in data["tokenizer"])


def builtin() -> tuple[Entry, ...]:
    """Return the tokenizers inside the package.

    Example:
        >>> [entry.name for entry in builtin()]
        ['mini-bands', 'mini-codec', 'mini-hybrid', 'mini-semantic']
    """
    configs = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(_ASSETS.glob("*/config.json"))]
    return tuple(Entry(TokenizerSpec.from_dict(c["spec"]), c["family"], "built-in") for c in configs)


def entries(*, kind: Kind | None = None) -> list[Entry]:
    """Return everything that tokaudio loads by name: the built-in tokenizers first, then the published ones.

    Args:
        kind: only `"semantic"`, `"compression"` or `"hybrid"` ones.

    Example:
        >>> entries(kind="compression")[0].name
        'mini-bands'
    """
    loadable = [*builtin(), *(entry for entry in published() if entry.status != "planned")]
    return [entry for entry in loadable if kind is None or entry.spec.kind == kind]


def find(name: str) -> Entry | None:
    """Return the published tokenizer of a name, an alias or a repository; None if there is none.

    Raises:
        UnknownNameError: if it names a repository that holds several tokenizers.

    Example:
        >>> find("facebook/encodec_24khz").name, find("encodec-24k").repo, find("nobody/nothing")
        ('encodec-24k', 'facebook/encodec_24khz', None)
    """
    named = [entry for entry in published() if name in (entry.name, *entry.aliases)]
    found = named or [entry for entry in published() if entry.repo and entry.repo == name]
    if len(found) > 1:
        names = ", ".join(entry.name for entry in found)
        raise UnknownNameError(f"{name}: holds {len(found)} tokenizers; give the name of one: {names}")
    return found[0] if found else None


def known_digests(filename: str) -> tuple[str, ...]:
    """Return the SHA-256 digests that a file of this name may have, or their first digits; none if unknown.

    Example:
        >>> known_digests("encodec_24khz-d7cc33bc.th")
        ('d7cc33bc',)
    """
    return tuple(entry.originals[filename] for entry in published() if entry.originals.get(filename))


def list_tokenizers(*, kind: Kind | None = None, published: bool = False) -> list[str]:
    """Return the names of the tokenizers that work without a network, or of all that can be loaded by name.

    Args:
        kind: only `"semantic"`, `"compression"` or `"hybrid"` ones.
        published: also those whose weights lie on the Hub or in files to fetch;
            [`entries`][tokaudio.catalogue.entries] has their facts.

    Example:
        >>> list_tokenizers(kind="compression")
        ['mini-bands', 'mini-codec']
    """
    return [entry.name for entry in entries(kind=kind) if published or entry.status == "built-in"]


def alternatives(name: str) -> str:
    """Return what a message about an unknown name offers instead: names like it, or else those that ship.

    Example:
        >>> alternatives("mini-kodec")
        'did you mean mini-codec? `tokaudio list` shows all names'
        >>> alternatives("?")
        'mini-bands, mini-codec, mini-hybrid and mini-semantic ship, `tokaudio list` shows all names'
    """
    known = [*list_tokenizers(published=True), *(alias for entry in entries() for alias in entry.aliases)]
    # Lower-cased: names are, and capitals must not make a name unlike.
    near = difflib.get_close_matches(name.strip("./ ").lower(), known, n=3, cutoff=0.7)
    *others, last = list_tokenizers()
    told = f"did you mean {' or '.join(near)}?" if near else f"{', '.join(others)} and {last} ship,"
    return f"{told} `tokaudio list` shows all names"


def tokenizer_spec(name: str) -> TokenizerSpec:
    """Return the facts about a tokenizer without loading its weights.

    Raises:
        UnknownNameError: if nothing that can be loaded has this name.

    Example:
        >>> tokenizer_spec("mini-codec").frame_rate
        Fraction(50, 1)
    """
    for entry in builtin():
        if entry.name == name:
            return entry.spec
    entry_found = find(name)
    if entry_found is None or entry_found.status == "planned":
        raise UnknownNameError(f"no tokenizer is called {name!r}; {alternatives(name)}")
    return entry_found.spec


def _entry(table: Mapping[str, Any]) -> Entry:
    repo = table.get("repo", "")
    facts = {key: table[key] for key in _RATES if key in table}
    facts.setdefault("origin", f"https://huggingface.co/{repo}" if repo else "")
    spec = TokenizerSpec(
        name=table["name"],
        kind=table["kind"],
        licence=table["licence"],
        codebooks=tuple(_codebooks(table["codebooks"])),
        **facts,
    )
    return Entry(
        spec=spec,
        family=table["family"],
        status=table["status"],
        repo=repo,
        revision=table.get("revision", "main"),
        files=tuple(table.get("files", ())),
        originals=table.get("originals", {}),
        aliases=tuple(table.get("aliases", ())),
        sha256=table.get("sha256", {}),
        backbone=table.get("backbone", ""),
    )


def _codebooks(groups: Sequence[Mapping[str, Any]]) -> Iterator[CodebookSpec]:
    for group in groups:
        book = CodebookSpec.from_dict({key: value for key, value in group.items() if key != "count"})
        yield from [book] * group["count"]
