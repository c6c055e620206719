"""Where dataset files are, and which dataset is which."""

from __future__ import annotations

import os
from pathlib import Path

from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.places import absent_folder, project_folder
from tsad_tasks.base.settings import Problem
from tsad_tasks.config.dataset import DatasetConfig
from tsad_tasks.config.file import deprecations, file_error, load_config

DEMO_CONNECTION = "tsad_demo"


def datasets_folder() -> Path:
    """Folder of the dataset files: `TSAD_DATASETS`, else `dags/datasets`."""
    return Path(os.environ.get("TSAD_DATASETS") or project_folder() / "dags" / "datasets")


def dataset_paths() -> list[Path]:
    """All dataset files, by name."""
    return sorted(
        path for path in datasets_folder().glob("*.y*ml") if path.suffix in (".yaml", ".yml")
    )


def is_absent_example(config: DatasetConfig) -> bool:
    """Whether it is one of the examples, and the local stack has no tables of it."""
    is_example = any(source.connection == DEMO_CONNECTION for source in config.sources)
    return is_example and (absent_folder() / config.dataset).exists()


def named_config(path: Path) -> DatasetConfig:
    """The configuration of a file that is named as its dataset.

    Raises `ConfigError` when the file is wrong, or named otherwise.
    """
    config = load_config(path)
    if config.dataset != path.stem:
        named = Problem(("dataset",), f"the file's name, {path.stem}", config.dataset)
        raise file_error(path, 1, named)
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
    """What the dataset's file says that counts no more, and what to use in its place."""
    return deprecations(
        config, next((path for path in dataset_paths() if path.stem == config.dataset), None)
    )
