"""The oldest and the newest versions that are supported: `nox`, or `nox -s newest-3.13 -- -n 4` with options of pytest.

Which those are stands in `pyproject.toml` alone: uv takes the lowest that its bounds allow, or the newest.
"""

from collections.abc import Sequence

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True


@nox.session(python="3.11")
def oldest(session: nox.Session) -> None:
    """Run the tests with the lowest version of everything that is asked for by name.

    What these say of the newer packages beside them is not ours to mend.
    """
    test(session, "--resolution=lowest-direct", options=["-W", "ignore::DeprecationWarning"])


@nox.session(python=["3.12", "3.13"])
def newest(session: nox.Session) -> None:
    """Run the tests with the newest version of everything."""
    test(session, "--upgrade")


def test(session: nox.Session, *resolution: str, options: Sequence[str] = ()) -> None:
    """Install the package with what its tests need, say what that is, and run them."""
    session.install(*resolution, "--editable", ".[test]")
    session.run("uv", "pip", "freeze", external=True)
    session.run("pytest", *options, *(session.posargs or ("-n", "auto")))
