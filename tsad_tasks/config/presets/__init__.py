"""Dataset files to start from, one per document, for a table of yours."""

from __future__ import annotations

from importlib.resources import files

from tsad_tasks.base.errors import ConfigError


def preset_names() -> tuple[str, ...]:
    """Names of the presets, sorted."""
    found = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml")))


def preset_text(name: str) -> str:
    """The dataset file of a preset, to be saved and edited.

    Raises `ConfigError`, listing the known names.

    >>> preset_text("document_d").splitlines()[1]
    'dataset: document_d'
    """
    if name not in preset_names():
        raise ConfigError(f"preset: Expected one of {', '.join(preset_names())}. Received: {name}.")
    return files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
