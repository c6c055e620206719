"""A bundle is whole or absent, never changes, and says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from upath import UPath

from tests.detectors.network_of_zeros import zero_detector
from tsad_tasks.base.errors import BundleError
from tsad_tasks.detectors.base import Folder
from tsad_tasks.detectors.bundle import read_bundle, write_bundle

SPEC = {"threshold": 0.25, "channels": ["Temperatur °C"]}


@pytest.fixture(params=["local", "memory", "file"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    places = {
        "local": tmp_path / "a" / "b",
        "memory": UPath(f"memory://{uuid4().hex}/b"),
        "file": UPath(f"file://{tmp_path}/c/b"),
    }
    return places[request.param]


def rewritten(folder: Folder, name: str, text: str) -> None:
    (folder / name).write_bytes(text.encode())


def test_what_is_written_is_read(folder: Folder) -> None:
    sha256 = write_bundle(folder, zero_detector(), SPEC, {"rows": 7})
    bundle = read_bundle(folder, expected_sha256=sha256)
    assert (bundle.spec, bundle.card, bundle.sha256) == (SPEC, {"rows": 7}, sha256)
    assert bundle.detector.score(np.full((4, 1), 2, dtype=np.float32)).tolist()[2:] == [4.0, 4.0]


def test_a_folder_holds_the_files_of_the_manifest_and_nothing_else(folder: Folder) -> None:
    write_bundle(folder, zero_detector(), SPEC, {})
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["card.json", "detector.json", "manifest.json", "model.onnx", "spec.json"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_writing_the_same_bundle_again_changes_nothing(folder: Folder) -> None:
    first = write_bundle(folder, zero_detector(), SPEC, {})
    assert write_bundle(folder, zero_detector(), SPEC, {}) == first


def test_another_bundle_never_replaces_one(folder: Folder) -> None:
    sha256 = write_bundle(folder, zero_detector(), SPEC, {})
    with pytest.raises(BundleError, match="never overwritten"):
        write_bundle(folder, zero_detector(), SPEC, {"rows": 8})
    assert read_bundle(folder, expected_sha256=sha256).card == {}


def test_a_writer_killed_on_an_object_store_leaves_no_bundle_and_can_be_repeated() -> None:
    folder = UPath(f"memory://{uuid4().hex}/b")
    folder.mkdir(parents=True)
    rewritten(folder, "model.onnx", "half")
    with pytest.raises(BundleError, match=r"manifest\.json"):
        read_bundle(folder)
    write_bundle(folder, zero_detector(), SPEC, {})
    assert read_bundle(folder).spec == SPEC


def test_a_local_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    rewritten(tmp_path, "notes.txt", "mine")
    with pytest.raises(BundleError, match="Expected an absent or empty folder"):
        write_bundle(tmp_path, zero_detector(), SPEC, {})
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert not list(tmp_path.parent.glob(f".{tmp_path.name}-*"))


@pytest.mark.parametrize(
    "name", ["card.json", "detector.json", "manifest.json", "model.onnx", "spec.json"]
)
def test_a_missing_file_is_named(folder: Folder, name: str) -> None:
    write_bundle(folder, zero_detector(), SPEC, {})
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"{name}.*Received: nothing there"):
        read_bundle(folder)


def test_a_missing_folder_is_named(folder: Folder) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json"):
        read_bundle(folder)


@pytest.mark.parametrize("name", ["card.json", "detector.json", "model.onnx", "spec.json"])
def test_an_altered_file_is_named_with_both_hashes(folder: Folder, name: str) -> None:
    write_bundle(folder, zero_detector(), SPEC, {})
    expected = json.loads((folder / "manifest.json").read_bytes())["sha256"][name]
    rewritten(folder, name, "{}")
    with pytest.raises(
        BundleError, match=f"{name}: Expected sha256 {expected}. Received: 44136fa355b3"
    ):
        read_bundle(folder)


def test_another_manifest_than_registered_is_refused(folder: Folder) -> None:
    sha256 = write_bundle(folder, zero_detector(), SPEC, {})
    with pytest.raises(
        BundleError, match=f"manifest.json: Expected sha256 {'0' * 64}. Received: {sha256}"
    ):
        read_bundle(folder, expected_sha256="0" * 64)


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ("not json", "Expected JSON with format_version and sha256"),
        ("[]", "Expected JSON with format_version and sha256"),
        ('{"format_version": 1}', "Expected JSON with format_version and sha256"),
        ('{"format_version": 99, "sha256": {}}', "Expected format version 1. Received: 99"),
        ('{"format_version": 1, "sha256": {"model.onnx": ""}}', "spec.json amiss"),
        (
            '{"format_version": 1, "sha256": {"../x": "", "card.json": "", "spec.json": "", '
            '"detector.json": ""}}',
            r"\.\./x amiss",
        ),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(
    folder: Folder, manifest: str, expected: str
) -> None:
    folder.mkdir(parents=True)
    rewritten(folder, "manifest.json", manifest)
    with pytest.raises(BundleError, match=expected):
        read_bundle(folder)


def test_a_specification_with_nan_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_bundle(tmp_path / "b", zero_detector(), {"threshold": float("nan")}, {})
    assert not (tmp_path / "b").exists()
