"""Sound to tokens and back, in a browser: record or upload, choose a tokenizer, listen, and see the codes.

Run: python examples/space/app.py
"""

import io
import tempfile
from functools import cache
from pathlib import Path

import gradio as gr
import matplotlib as mpl
import torch
from matplotlib.figure import Figure

from tokaudio import TokaudioError, Tokenizer, Tokens, list_tokenizers, tokenizer_spec
from tokaudio.analysis import report_tokens
from tokaudio.audio import read_audio, write_audio
from tokaudio.plot import codes_under_spectrogram

SECONDS, MOST_BYTES = 30, "25mb"
INK = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), "#808691")
FONTS = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
SHADES = {"": 700, "_hover": 800, "_dark": 700, "_hover_dark": 800}
ABOUT = """# Sound to tokens, tokens to sound
Record a few seconds or upload a file. A language model would read the tokens; hear what they keep of the sound."""

STYLE = """.drawing svg { width: 100%; height: auto; }
.prose th, .prose td { word-break: normal; overflow-wrap: normal; padding: .3rem .5rem; font-size: .8rem; }"""

load = cache(Tokenizer.from_pretrained)


def tokenize(path: str | None, name: str, codebooks: float) -> tuple[str, str, str, str]:
    """Return the decoded sound, the picture of the codes, figures about them, and the file of tokens."""
    if path is None:
        raise gr.Error("Record or upload a sound first.", print_exception=False)
    try:
        samples, rate = read_audio(path)
        if samples.shape[1] > SECONDS * rate:
            gr.Info(f"Only the first {SECONDS} seconds are used: this machine is small.")
            samples = samples[:, : SECONDS * rate]
        tokenizer = load(name)
        tokens = tokenizer.encode(samples, rate, num_codebooks=round(codebooks))
        folder = Path(tempfile.mkdtemp(prefix="tokaudio-"))
        write_audio(folder / "decoded.wav", tokenizer.decode(tokens)[0], tokenizer.spec.output_sample_rate)
        tokens.save(folder / "tokens.npz")
        figures = told(tokens)
    except TokaudioError as error:
        raise gr.Error(str(error).replace(path, Path(path).name), duration=None, print_exception=False) from error
    return str(folder / "decoded.wav"), picture(tokens, samples, rate), figures, str(folder / "tokens.npz")


def picture(tokens: Tokens, samples: torch.Tensor, rate: int) -> str:
    """Return the codes under the spectrogram, as an SVG that suits light and dark pages."""
    with mpl.rc_context(INK):
        figure = Figure(figsize=(8, 4), layout="constrained")
        codes_under_spectrogram(tokens, samples, rate, axes=figure.subplots(2, 1, sharex=True, height_ratios=[3, 2]))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True)
    svg = buffer.getvalue().partition("<svg")[2]
    return f'<div class="drawing" role="img" aria-label="codes under the spectrogram"><svg{svg}</div>'


def told(tokens: Tokens) -> str:
    """Return what the tokens cost and how their codebooks are used, as Markdown."""
    spec, found = tokens.spec, report_tokens([tokens])
    used, frames = found.sections["usage"], int(tokens.lengths[0])
    seconds = int(tokens.num_samples[0]) / spec.sample_rate
    lines = [
        f"**{spec.num_codebooks * frames:,} tokens** for {seconds:.2f} s: {spec.num_codebooks} codebooks x {frames} "
        f"frames, {float(spec.token_rate):g} tokens a second, **{spec.bitrate_kbps:.3g} kbit/s** "
        f"(as they are used here, {used.effective_bps / 1000:.2f}).",
        "",
        "| codebook | role | seen | bits | top code |",
        "|---|---|---:|---:|---:|",
    ]
    for book, facts in zip(used.codebooks, spec.codebooks, strict=True):
        seen, bits = f"{book.used} of {book.size:,}", f"{book.entropy:.1f}"
        lines.append(f"| {book.codebook} | {facts.role} | {seen} | {bits} | {100 * book.commonest:.0f} % |")
    return "\n".join([*lines, "", *([found.warning] if found.warning else []), *found.sentences()])


def number_of_codebooks(name: str) -> gr.Slider:
    """Return the slider for a tokenizer, at all of its codebooks."""
    most = tokenizer_spec(name).num_codebooks
    return gr.Slider(1, most, value=most, step=1, label="codebooks", info="fewer cost less and keep less")


with gr.Blocks(title="tokaudio", analytics_enabled=False, delete_cache=(3600, 3600)) as demo:
    gr.Markdown(ABOUT)
    with gr.Row():
        with gr.Column():
            sound = gr.Audio(label="sound", sources=["upload", "microphone"], type="filepath", buttons=[])
            tokenizer_name = gr.Dropdown(list_tokenizers(), value="mini-codec", label="tokenizer")
            count = number_of_codebooks("mini-codec")
            button = gr.Button("Tokenize", variant="primary")
        with gr.Column():
            plain = gr.WaveformOptions(show_recording_waveform=False)
            decoded = gr.Audio(
                label="what the tokens keep", interactive=False, waveform_options=plain, buttons=["download"]
            )
            file = gr.File(label="tokens (.npz)", interactive=False)
    drawing = gr.HTML()
    words = gr.Markdown()
    tokenizer_name.change(number_of_codebooks, tokenizer_name, count)
    button.click(tokenize, [sound, tokenizer_name, count], [decoded, drawing, words, file])

if __name__ == "__main__":
    torch.set_num_threads(2)
    shades = {f"button_primary_background_fill{state}": f"*primary_{shade}" for state, shade in SHADES.items()}
    inks = dict.fromkeys(("block_label_text_color", "block_title_text_color"), "*primary_800")
    theme = gr.themes.Soft(primary_hue="teal", **FONTS).set(**shades, **inks)
    demo.queue(max_size=16).launch(max_file_size=MOST_BYTES, theme=theme, css=STYLE, footer_links=[])
