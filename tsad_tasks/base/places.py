"""Where the project is, and where its local stack keeps what it writes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from upath import UPath

# Of artifacts: a local one, or one of an object store. Both do the same by the same names.
Folder: TypeAlias = "Path | UPath"


def project_folder() -> Path:
    """The folder that holds `dags`: `TSAD_PROJECT`, else the checkout, else the working folder."""
    if chosen := os.environ.get("TSAD_PROJECT"):
        return Path(chosen).absolute()
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "dags").is_dir() else Path.cwd()


def home_folder() -> Path:
    """Where a local stack writes everything: `TSAD_HOME`, else `.tsad` in the project."""
    if chosen := os.environ.get("TSAD_HOME"):
        return Path(chosen).absolute()
    return project_folder() / ".tsad"


def absent_folder() -> Path:
    """Where a local stack keeps an empty file for each example that has no tables yet."""
    return home_folder() / "absent"


def postgres_folder() -> Path:
    """The folder of the project's own server."""
    return home_folder() / "postgres"
