"""Model cards, generated from what the spec knows."""

from __future__ import annotations

import re

from tokaudio.catalogue import find
from tokaudio.errors import UnknownNameError
from tokaudio.spec import TokenizerSpec

_COMPARED = {
    "verified": "codes compared with the reference implementation",
    "by parts": "compared with reference implementations of its parts",
    "unverified": "never compared with a reference implementation",
}


def model_card(
    spec: TokenizerSpec, fingerprint: str, about: str = "", *, name: str | None = None, decodes: bool = True
) -> str:
    """Return a model card in Markdown with the front matter that the Hub reads.

    Args:
        spec: the tokenizer's facts.
        fingerprint: of its weights.
        about: further sections (data, metrics, limits), Markdown.
        name: what `from_pretrained` shall be given; None for the tokenizer's own name.
        decodes: whether it turns tokens back into sound.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("tiny", "compression", 16_000, 320, (CodebookSpec(16),), licence="apache-2.0")
        >>> print(model_card(spec, "0123456789abcdef").splitlines()[1])
        library_name: tokaudio
    """
    sizes = sorted(set(spec.codebook_sizes))
    books = f"{spec.num_codebooks} x {sizes[0]}" if len(sizes) == 1 else " + ".join(map(str, spec.codebook_sizes))
    rows = {
        "kind": spec.kind,
        "sample rate": f"{spec.sample_rate} Hz in, {spec.output_sample_rate} Hz out, {spec.channels} channel(s)",
        "frame rate": f"{float(spec.frame_rate):g} Hz (hop of {spec.hop_length} samples)",
        "codebooks": books,
        "token rate": f"{float(spec.token_rate):g} per second",
        "bitrate": f"{spec.bitrate_kbps:g} kbps",
        "causal": "yes" if spec.causal else "no",
        "chunking": spec.chunking,
        "licence": spec.licence or "not stated",
        "paper": spec.paper or "none",
        "origin": spec.origin or "not stated",
        "weights": fingerprint,
    }
    if (compared := _comparison(spec.name)) is not None:
        rows["verification"] = compared
    table = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    usage = [
        "```python",
        "from tokaudio import Tokenizer",
        "",
        f'tokenizer = Tokenizer.from_pretrained("{name or spec.name}")',
        'tokens = tokenizer.encode("speech.wav")',
        *(["audio = tokenizer.decode(tokens)"] if decodes else []),
        "```",
    ]
    parts = [
        *_front_matter(spec),
        "",
        f"# {spec.name}",
        "",
        *table,
        "",
        *usage,
        *(["", about.strip()] if about else []),
    ]
    return "\n".join(parts) + "\n"


def _front_matter(spec: TokenizerSpec) -> list[str]:
    """Return what the Hub reads: identifiers it knows, or `other`; nothing where no licence is stated."""
    lines = ["---", "library_name: tokaudio"]
    if spec.licence and not spec.licence.startswith("not stated"):
        known = re.fullmatch(r"[a-z0-9][a-z0-9.-]*", spec.licence)
        lines.append(f"license: {spec.licence if known else 'other'}")
    paper = re.fullmatch(r"arXiv:(\d{4}\.\d{4,5})", spec.paper)
    lines += ["tags:", "- audio", "- audio-tokenizer", f"- {spec.kind}"]
    return [*lines, *([f"- arxiv:{paper[1]}"] if paper else []), "---"]


def _comparison(name: str) -> str | None:
    """Return how far the codes of a published tokenizer were compared; None for others."""
    try:
        entry = find(name)
    except UnknownNameError:
        return None
    return None if entry is None else _COMPARED.get(entry.status)
