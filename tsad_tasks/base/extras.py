"""Packages that only some machines need: those of an extra of `tsad`."""

from __future__ import annotations

from importlib.util import find_spec

from tsad_tasks.base.errors import BadInput

# By extra of pyproject.toml, the modules that its packages bring.
EXTRAS = {
    "train": ("tensorflow", "tf2onnx", "skl2onnx", "imblearn"),
    "files": ("pandas", "pyarrow"),
    "apprise": ("apprise",),
}


def require(extra: str) -> None:
    """Checks that an extra is installed, and imports nothing of it.

    Raises `BadInput` when a package is missing; it says what to install.

    >>> require("files")
    """
    missing = [name for name in EXTRAS[extra] if find_spec(name) is None]
    if missing:
        wanted, received = ", ".join(EXTRAS[extra]), ", no ".join(missing)
        hint = f"Install tsad[{extra}]."
        raise BadInput(f"Expected the packages {wanted}. Received: no {received}. {hint}")
