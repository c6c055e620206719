"""Detectors by name: each file of this folder, of `neural` and of `folding` may register one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from tsad_tasks.base.errors import BundleError, ConfigError
from tsad_tasks.base.places import Folder
from tsad_tasks.base.registry import Registry
from tsad_tasks.base.settings import validated, wrong
from tsad_tasks.detectors.base import DETAILS_FILE, Detector, DetectorSettings

DETECTORS: Registry[type[Detector]] = Registry(
    "detector", *(f"tsad_tasks.detectors{folder}" for folder in ("", ".neural", ".folding"))
)
Variant = TypeVar("Variant", bound=Detector)


def register(name: str) -> Callable[[type[Variant]], type[Variant]]:
    """A decorator that gives a class of detectors the name by which dataset files ask for it."""

    def named(detector: type[Variant]) -> type[Variant]:
        DETECTORS.register(name)(detector)
        detector.name = name
        return detector

    return named


def detector_class(name: str) -> type[Detector]:
    """Class of a registered detector.

    Raises
    ------
    ConfigError
        Listing the known names.
    """
    if name not in DETECTORS:
        expected = f"Expected one of {', '.join(DETECTORS)}."
        raise ConfigError(f"detector.name: {expected} Received: {name}.")
    return DETECTORS[name]


def build_detector(
    name: str,
    *,
    width: int,
    n_channels: int,
    n_inputs: int,
    params: Mapping[str, Any] | None = None,
) -> Detector:
    """A detector that has not learned yet.

    Raises
    ------
    ConfigError
        For an unknown name or parameter, or a parameter's value that the detector refuses.
    """
    return detector_class(name)(width, n_channels, n_inputs, **params or {})


def load_detector(folder: Folder) -> Detector:
    """The detector saved in a folder."""
    return detector_from_files({path.name: path.read_bytes() for path in folder.iterdir()})


def detector_from_files(files: Mapping[str, bytes]) -> Detector:
    """The detector that wrote these files.

    Raises
    ------
    BundleError
        Where detector.json is missing, or names a detector that this version does not know.
    """
    if DETAILS_FILE not in files:
        received = ", ".join(sorted(files)) or "no files"
        raise BundleError(f"Expected {DETAILS_FILE}. Received: {received}.")
    name = json.loads(files[DETAILS_FILE])["name"]
    if name not in DETECTORS:
        expected = f"one of {', '.join(DETECTORS)}"
        raise BundleError(f"{DETAILS_FILE}: Expected {expected}. Received: {name}.")
    return DETECTORS[name].from_files(files)


def files_after(start: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a member, whose names have `start` before them."""
    return {
        name.removeprefix(start): content
        for name, content in files.items()
        if name.startswith(start)
    }


class MemberSettings(DetectorSettings):
    """A registered detector that is a part of another one."""

    name: str = Field(description="The member's name, that of a registered detector.")
    params: Annotated[dict[str, Any], BeforeValidator(lambda params: params or {})] = Field(
        default_factory=dict, description="The member's own settings."
    )

    @model_validator(mode="after")
    def _is_registered(self) -> MemberSettings:
        if self.name not in DETECTORS:
            raise wrong(f"one of {', '.join(DETECTORS)}", self.name, "name")
        validated(DETECTORS[self.name].settings_model, self.params, "params")
        return self
