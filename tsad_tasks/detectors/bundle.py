"""A model's folder: detector, specification and card, held together by a manifest of hashes.

A bundle holds ONNX and JSON, never pickle. It is written whole or not at all and never changes
afterwards. Folders are local, or anything that `universal_pathlib` reaches (s3://…, memory://…).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsad_tasks.base.errors import AccessDenied, BundleError, NoSpace
from tsad_tasks.base.files import make_folder, space_at, sync_folder, write_whole
from tsad_tasks.base.places import Folder
from tsad_tasks.detectors.base import DETAILS_FILE, Detector
from tsad_tasks.detectors.registry import detector_from_files

FORMAT_VERSION = 1
MANIFEST_FILE, SPEC_FILE, CARD_FILE = "manifest.json", "spec.json", "card.json"
CANARY_FILE = "canary.json"
Json = Mapping[str, Any]

_NEEDED = {DETAILS_FILE, SPEC_FILE, CARD_FILE}
_ADVICE = "Restore the folder, or retrain (tsad.v_model.pruned_at: whether it was pruned)."


@dataclass(frozen=True)
class Bundle:
    """A model as it was registered.

    Parameters
    ----------
    spec : everything beside the detector that affects errors, scores and flags.
    card : what people read: data range, share used, losses, figures.
    sha256 : of the manifest, hence of everything.
    canary : readings with a fault that the model must find, and what it made of them; older bundles
        have none.
    """

    detector: Detector
    spec: dict[str, Any]
    card: dict[str, Any]
    sha256: str
    canary: dict[str, Any] | None = None


def write_bundle(
    folder: Folder, detector: Detector, spec: Json, card: Json, canary: Json | None = None
) -> str:
    """Write a bundle and return its manifest's sha256; the same one again changes nothing.

    Raises
    ------
    BundleError
        Where the folder holds something else already.
    """
    files, manifest = _contents(detector, spec, card, canary)
    if not _is_there(folder, manifest):
        _publish(folder, files | {MANIFEST_FILE: manifest}, manifest)
    return _sha256(manifest)


def store_bundle(
    root: Folder, detector: Detector, spec: Json, card: Json, canary: Json | None = None
) -> tuple[Folder, str]:
    """Write a bundle below `root`, where its hash says; return folder and sha256."""
    folder = root / _sha256(_contents(detector, spec, card, canary)[1])[:16]
    return folder, write_bundle(folder, detector, spec, card, canary)


def _contents(
    detector: Detector, spec: Json, card: Json, canary: Json | None
) -> tuple[dict[str, bytes], bytes]:
    files = detector.to_files() | {SPEC_FILE: _json_bytes(spec), CARD_FILE: _json_bytes(card)}
    files |= {} if canary is None else {CANARY_FILE: _json_bytes(canary)}
    hashes = {name: _sha256(files[name]) for name in sorted(files)}
    return files, _json_bytes({"format_version": FORMAT_VERSION, "sha256": hashes})


def read_bundle(folder: Folder, *, expected_sha256: str | None = None) -> Bundle:
    """The bundle of a folder, files checked against the manifest, that against `expected_sha256`.

    Raises
    ------
    BundleError
        Naming the file, what was expected and what was received.
    """
    manifest = _read(folder / MANIFEST_FILE)
    if expected_sha256 is not None:
        _check_sha256(folder / MANIFEST_FILE, manifest, expected_sha256)
    hashes = _hashes(folder / MANIFEST_FILE, manifest)
    files = _read_files(folder, list(hashes))
    for name, content in files.items():
        _check_sha256(folder / name, content, hashes[name])
    spec, card, canary = (
        json.loads(files.get(name, b"null")) for name in (SPEC_FILE, CARD_FILE, CANARY_FILE)
    )
    return Bundle(detector_from_files(files), spec, card, _sha256(manifest), canary)


def _is_there(folder: Folder, manifest: bytes) -> bool:
    path = folder / MANIFEST_FILE
    if not path.exists():
        return False
    found = path.read_bytes()
    if found == manifest:
        return True
    raise BundleError(
        f"{folder}: Expected no other bundle here, since bundles are never overwritten. "
        f"Received: one with manifest {_sha256(found)}, to be replaced by {_sha256(manifest)}. "
        "Choose another folder."
    )


def _publish(folder: Folder, files: Mapping[str, bytes], manifest: bytes) -> None:
    if isinstance(folder, Path):
        _rename_into_place(folder, files, manifest)
        return
    make_folder(folder)
    # The manifest comes last: without it, what a killed writer left behind is not a bundle, and is
    # written again.
    for name in sorted(files, key=lambda name: name == MANIFEST_FILE):
        write_whole(folder / name, files[name])


def _rename_into_place(folder: Path, files: Mapping[str, bytes], manifest: bytes) -> None:
    make_folder(folder.parent)
    with space_at(folder.parent):
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, content in files.items():
            write_whole(draft / name, content)
        with space_at(folder.parent):
            draft.rename(folder)
            sync_folder(folder.parent)
    except NoSpace:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        if not folder.is_dir() or not _is_there(folder, manifest):
            expected = f"{folder}: Expected an absent or empty folder."
            raise BundleError(f"{expected} Received: {error}.") from error


def _hashes(path: Folder, manifest: bytes) -> dict[str, str]:
    try:
        fields = json.loads(manifest)
        version, hashes = fields["format_version"], dict(fields["sha256"])
    except (ValueError, TypeError, KeyError) as error:
        expected = f"{path}: Expected JSON with format_version and sha256."
        raise BundleError(f"{expected} Received: {error!r}. {_ADVICE}") from error
    if version != FORMAT_VERSION:
        expected = f"{path}: Expected format version {FORMAT_VERSION}."
        raise BundleError(f"{expected} Received: {version}. Upgrade tsad.")
    odd = sorted(name for name in hashes if "/" in name or name in (".", ".."))
    if odd := odd + sorted(_NEEDED - set(hashes)):
        expected = f"Expected plain file names with {sorted(_NEEDED)}"
        raise BundleError(f"{path}: {expected}. Received: {', '.join(odd)} amiss.")
    return hashes


def _read_files(folder: Folder, names: Sequence[str]) -> dict[str, bytes]:
    """Files by name, from an object store at once: each request takes tens of milliseconds."""
    if isinstance(folder, Path):
        return {name: _read(folder / name) for name in names}
    paths = [(folder / name).path for name in names]
    found = folder.fs.cat(paths, on_error="return")
    return {
        name: _content(folder / name, found[path]) for name, path in zip(names, paths, strict=True)
    }


def _read(path: Folder) -> bytes:
    # Opened as a file, an object store would be asked for its size first.
    try:
        if isinstance(path, Path):
            return path.read_bytes()
        return _content(path, path.fs.cat_file(path.path))
    except OSError as error:
        return _content(path, error)


def _content(path: Folder, found: bytes | Exception) -> bytes:
    """What was read, or what the error means."""
    if isinstance(found, (FileNotFoundError, NotADirectoryError, IsADirectoryError)):
        expected = f"Expected the file {path}."
        raise BundleError(f"{expected} Received: nothing there. {_ADVICE}") from found
    if isinstance(found, PermissionError):
        expected = f"Expected to be let read the file {path}."
        raise AccessDenied(f"{expected} Received: {found}.") from found
    if isinstance(found, Exception):
        raise found
    return bytes(found)


def _check_sha256(path: Folder, content: bytes, expected: str) -> None:
    if (found := _sha256(content)) != expected:
        raise BundleError(f"{path}: Expected sha256 {expected}. Received: {found}. {_ADVICE}")


def _json_bytes(value: Mapping[str, Any]) -> bytes:
    text = json.dumps(value, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False)
    return f"{text}\n".encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
