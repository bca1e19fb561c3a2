"""What the pages let readers hear and see, made by the shipped tokenizers whenever the site is built.

`media/original.flac`, and for each of them `media/NAME.flac` (decoded), `media/NAME-light.svg` and `-dark.svg`
(its codes under the spectrogram). A page marks the places with `<!-- listen: NAME -->`.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import soundfile
import torch
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tokaudio import Tokenizer, list_tokenizers
from tokaudio.audio import read_audio

RECORDING = Path(__file__).parents[2] / "examples" / "audio" / "speech.wav"
STYLES = {"light": "default", "dark": "dark_background"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add sounds and pictures to the files of the site."""
    torch.set_num_threads(1)
    samples, rate = read_audio(RECORDING)
    made = {"original.flac": flac(samples, rate)}
    for name in list_tokenizers():
        tokenizer = Tokenizer.from_pretrained(name)
        tokens = tokenizer.encode(samples, rate)
        made[f"{name}.flac"] = flac(tokenizer.decode(tokens)[0], tokenizer.spec.output_sample_rate)
        made |= {f"{name}-{shade}.svg": picture(tokens, samples, rate, style) for shade, style in STYLES.items()}
    for name, content in made.items():
        files.append(File.generated(config, f"media/{name}", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put players and a picture where a page asks for them."""
    # Pictures are looked up from the page's file, sounds from its address.
    to_picture, to_sound = (f"{'../' * path.count('/')}media/" for path in (page.file.src_uri, page.url))
    return re.sub(r"<!-- listen: ([\w-]+) -->", lambda found: players(found[1], to_picture, to_sound), markdown)


def flac(samples: torch.Tensor, rate: int) -> bytes:
    """Return samples `[C, S]` as the bytes of a FLAC file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples.T.numpy(), rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def picture(tokens: Any, samples: torch.Tensor, rate: int, style: str) -> bytes:
    """Return codes under the spectrogram, as an SVG without a background."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    from tokaudio.plot import codes_under_spectrogram

    with pyplot.style.context(style), mpl.rc_context({"svg.hashsalt": "tokaudio"}):
        figure, axes = pyplot.subplots(2, 1, sharex=True, height_ratios=[3, 2], figsize=(7.5, 3), layout="constrained")
        codes_under_spectrogram(tokens, samples, rate, axes=axes)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None}, dpi=110)
        pyplot.close(figure)
    return buffer.getvalue()


def players(name: str, to_picture: str, to_sound: str) -> str:
    """Return the lines of a page that show and play a tokenizer."""
    lines = ['<div class="listen" markdown="1">', ""]
    for shade in STYLES:
        lines.append(f"![The codes of {name} under the spectrogram]({to_picture}{name}-{shade}.svg#only-{shade})")
    lines.append("")
    for title, file in (("before", "original"), (f"after {name}", name)):
        sound = f'<audio controls preload="none" src="{to_sound}{file}.flac"></audio>'
        lines += [f"<figure><figcaption>{title}</figcaption>{sound}</figure>", ""]
    return "\n".join([*lines, "</div>"])
