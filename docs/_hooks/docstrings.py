"""Docstrings as the reference shows them: sections called `Example` hold doctests, and are set as code."""

import re
from typing import Any

from griffe import Extension, Object


class Doctests(Extension):
    """Calls sections `Example` as the parser of docstrings does, `Examples`."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rename the section in an object's docstring."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
