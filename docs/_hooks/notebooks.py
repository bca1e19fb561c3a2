"""The notebooks of `examples/notebooks` as pages, with their stored outputs; nothing is run when the site is built."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

NOTEBOOKS = Path(__file__).parents[2] / "examples" / "notebooks"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook, its pictures, and the notebook itself to be downloaded."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        exporter = MarkdownExporter()
        text, resources = exporter.from_filename(str(path), {"unique_key": path.stem})
        made = {f"{path.stem}.md": page(text, path.name), path.name: path.read_bytes(), **resources["outputs"]}
        for name, content in made.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def page(markdown: str, notebook: str) -> str:
    """Return the page of a notebook: links between notebooks lead to pages, and a line below the title says what it is.

    Args:
        markdown: as nbconvert gives it.
        notebook: name of its file.
    """
    text = markdown.replace(".ipynb)", ".md)").replace("![png]", "![what the lines above draw]")
    title, _, rest = text.strip().partition("\n")
    about = f"*An executed notebook: [{notebook}]({notebook}), in the repository under `examples/notebooks/`.*"
    return f"{title}\n\n{about}\n{rest}\n"
