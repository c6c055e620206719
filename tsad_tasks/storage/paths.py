"""Where artifacts and dataset files are."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path

from upath import UPath

from tsad_tasks.base.errors import BadInput, ConfigError
from tsad_tasks.base.places import home_folder, project_folder
from tsad_tasks.config import DatasetConfig, deprecations, load_config
from tsad_tasks.storage.artifacts import place


def artifacts_root() -> UPath:
    """Folder or object store of bundles, run files and reports: `TSAD_ARTIFACTS`, else
    `.tsad/artifacts`.

    `place` says what it raises.
    """
    return place(os.environ.get("TSAD_ARTIFACTS") or str(home_folder() / "artifacts"))


def run_folder(dag_id: str, run_id: str) -> UPath:
    """Folder of the files that the tasks of one run hand to one another."""
    return artifacts_root() / "runs" / _plain(dag_id) / _plain(run_id)


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)


def datasets_folder() -> Path:
    """Folder of the dataset files: `TSAD_DATASETS`, else `dags/datasets`."""
    return Path(os.environ.get("TSAD_DATASETS") or project_folder() / "dags" / "datasets")


def dataset_paths() -> list[Path]:
    """All dataset files, by name."""
    return sorted(
        path for path in datasets_folder().glob("*.y*ml") if path.suffix in (".yaml", ".yml")
    )


def named_config(path: Path) -> DatasetConfig:
    """The configuration of a file that is named as its dataset.

    Raises
    ------
    ConfigError
        When the file is wrong, or named otherwise.
    """
    config = load_config(path)
    if config.dataset != path.stem:
        raise ConfigError(
            f"{path}:1: dataset: Expected the file's name, {path.stem}. Received: {config.dataset}."
        )
    return config


def config_of(dataset: str) -> DatasetConfig:
    """The configuration of a dataset, by its name.

    Raises
    ------
    BadInput
        When no file is named so.
    ConfigError
        When the file is wrong.
    """
    for path in dataset_paths():
        if path.stem == dataset:
            return named_config(path)
    names = ", ".join(path.stem for path in dataset_paths()) or "none"
    raise BadInput(f"Expected a dataset of {datasets_folder()} ({names}). Received: {dataset}.")


def deprecations_of(config: DatasetConfig) -> list[str]:
    """What the dataset's file says that counts no more, a line each, with what to use in its
    place.
    """
    return deprecations(
        config, next((path for path in dataset_paths() if path.stem == config.dataset), None)
    )


def report_path(dataset: str, start_at: datetime, end_at: datetime) -> UPath:
    """Where the PDF of a period goes."""
    return (
        artifacts_root()
        / "reports"
        / dataset
        / f"{dataset}_{start_at:%Y%m%dT%H%M}_{end_at:%Y%m%dT%H%M}.pdf"
    )
