"""Pages from templates: how figures are written, and what keeps a page to itself.

    render("report.html.j2", values, "tokaudio.analysis.pages")

A page holds all it needs. What it may load is written into it (Content-Security-Policy): nothing but sound within it;
and the one script that runs is known by its digest, so that no name or label ever becomes a program.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
from collections.abc import Mapping
from typing import Any

from tokaudio.errors import MissingDependencyError, one_line

NOTHING = "\u2013"
"""What is written for a figure that does not exist."""


def environment(*packages: str) -> Any:
    r"""Return jinja2's environment: everything is escaped, and no name is forgotten.

    Args:
        *packages: with folders `templates` of their own, beside the one here.

    Raises:
        MissingDependencyError: if jinja2 is not installed.

    Example:
        >>> environment().from_string("{{ 0.256 | percent }} {{ '<b>' }}").render()
        '26\xa0% &lt;b&gt;'
    """
    try:
        import jinja2
    except ImportError as error:
        text = one_line("jinja2", "is not installed", "run: pip install 'tokaudio[viz]'")
        raise MissingDependencyError(text) from error
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in (*packages, "tokaudio.pages")]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters |= {"percent": percent, "fixed": fixed, "whole": whole}
    return made


def percent(share: float | None, digits: int = 0) -> str:
    r"""Return a share in percent.

    Example:
        >>> percent(0.123, 1), percent(None) == NOTHING
        ('12.3\xa0%', True)
    """
    return NOTHING if share is None else f"{100 * share:.{digits}f}\u00a0%"


def fixed(value: float | None, digits: int = 2) -> str:
    """Return a figure with so many decimals; a zero has no sign.

    Example:
        >>> fixed(-0.001), fixed(1.236)
        ('0.00', '1.24')
    """
    if value is None:
        return NOTHING
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if not float(text) else text


def whole(value: float | None) -> str:
    """Return a number without decimals, in groups of three.

    Example:
        >>> whole(12345.6)
        '12,346'
    """
    return NOTHING if value is None else f"{value:,.0f}"


def script() -> str:
    """Return the script of the pages: sorting, playing, and what a figure says when pointed at."""
    return importlib.resources.files("tokaudio.pages").joinpath("templates/page.js").read_text(encoding="utf-8")


def policy() -> str:
    """Return what a page may do: show itself, play the sound in it, and run that one script.

    Example:
        >>> policy().split(";")[0]
        "default-src 'none'"
    """
    digest = base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; media-src data:; script-src 'sha256-{digest}'"


def render(template: str, values: Mapping[str, Any], *packages: str) -> str:
    """Return a page made of a template that extends `page.html.j2`.

    Args:
        template: its file name.
        values: what it names.
        *packages: where it is, if not here.

    Raises:
        MissingDependencyError: if jinja2 is not installed.
    """
    made = environment(*packages)
    page: str = made.get_template(template).render(policy=policy(), script=made.filters["safe"](script()), **values)
    return page
