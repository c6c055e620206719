"""Detectors by name. Adding one is a file here and a line in `core.detector_names`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tsad_tasks.base.errors import BundleError, ConfigError
from tsad_tasks.detectors.names import DETECTORS

if TYPE_CHECKING:
    from tsad_tasks.detectors.base import Detector, Folder

_SIZES = ("width", "n_channels", "n_inputs")


def detector_class(name: str) -> type[Detector]:
    """Class of a registered detector.

    Raises
    ------
    ConfigError
        Listing the known names.
    """
    if name not in DETECTORS:
        raise ConfigError(
            f"detector.name: Expected one of {', '.join(sorted(DETECTORS))}. Received: {name}."
        )
    module, _, attribute = DETECTORS[name].partition(":")
    found: type[Detector] = getattr(import_module(module), attribute)
    return found


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
    found, chosen = detector_class(name), dict(params or {})
    known = [
        parameter for parameter in inspect.signature(found).parameters if parameter not in _SIZES
    ]
    unknown = sorted(set(chosen) - set(known))
    if unknown:
        raise ConfigError(
            f"detector.params: Expected {', '.join(known) or 'none'}. Received: "
            f"{', '.join(unknown)}."
        )
    detector: Detector = found(
        **dict(zip(_SIZES, (width, n_channels, n_inputs), strict=True)), **chosen
    )
    return detector


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
    from tsad_tasks.detectors.base import DETAILS_FILE

    if DETAILS_FILE not in files:
        raise BundleError(
            f"Expected {DETAILS_FILE}. Received: {', '.join(sorted(files)) or 'no files'}."
        )
    name = json.loads(files[DETAILS_FILE])["name"]
    if name not in DETECTORS:
        raise BundleError(
            f"{DETAILS_FILE}: Expected one of {', '.join(sorted(DETECTORS))}. Received: {name}."
        )
    return detector_class(name).from_files(files)
