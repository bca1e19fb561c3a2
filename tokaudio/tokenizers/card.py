"""Model cards, generated from what the spec knows."""

from __future__ import annotations

from tokaudio.spec import TokenizerSpec


def model_card(spec: TokenizerSpec, fingerprint: str, about: str = "") -> str:
    """Return a model card in Markdown with the front matter that the Hub reads.

    Args:
        spec: the tokenizer's facts.
        fingerprint: of its weights.
        about: further sections (data, metrics, limits), Markdown.

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
    front = ["---", "library_name: tokaudio", *([f"license: {spec.licence}"] if spec.licence else [])]
    front += ["tags:", "- audio", "- audio-tokenizer", f"- {spec.kind}", "---"]
    table = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    usage = [
        "```python",
        "from tokaudio import Tokenizer",
        "",
        f'tokenizer = Tokenizer.from_pretrained("{spec.name}")',
        'tokens = tokenizer.encode("speech.wav")',
        "audio = tokenizer.decode(tokens)",
        "```",
    ]
    parts = [*front, "", f"# {spec.name}", "", *table, "", *usage, *(["", about.strip()] if about else [])]
    return "\n".join(parts) + "\n"
