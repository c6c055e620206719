"""Files are whole or absent, for their owner alone, whoever writes them and whatever stops it."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devstack.private import write_private
from tests.detectors.network_of_zeros import zero_detector
from tests.modes import open_to_others
from tests.plants.trained import artifacts_folder
from tsad_tasks.base.errors import BadInput, NoSpace
from tsad_tasks.base.files import make_folder, whole_file, write_whole
from tsad_tasks.detectors.bundle import store_bundle
from tsad_tasks.storage.arrays import write_arrays
from tsad_tasks.storage.folders import place_now
from tsad_tasks.storage.json_files import write_json


def _bundle(path: Path) -> None:
    store_bundle(path, zero_detector(), {"pad": "x" * 20_000}, {})


WRITERS: dict[str, Callable[[Path], Any]] = {
    "bytes": lambda path: write_whole(path, b"new" * 10_000),
    "text": lambda path: write_whole(path, "new" * 10_000),
    "arrays": lambda path: write_arrays(path, {"a": np.arange(10_000)}, {"n": 1}),
    "json": lambda path: write_json(path, list(range(10_000)), list[int]),
    "configuration": lambda path: write_private(path, "new" * 10_000),
}


@contextmanager
def longest_file(n_bytes: int) -> Iterator[None]:
    """A disk on which no file is longer, as the system itself enforces it."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_full_disk_leaves_the_former_file_and_the_next_try_writes_it(
    write: Callable[[Path], Any], tmp_path: Path
) -> None:
    path = tmp_path / "made" / "file"
    make_folder(path.parent)
    write_whole(path, b"old")
    with longest_file(5_000), pytest.raises(NoSpace, match="room to write in /"):
        write(path)
    assert {one.name: one.read_bytes() for one in path.parent.iterdir()} == {"file": b"old"}
    write(path)
    assert path.stat().st_size > 5_000
    assert [one.name for one in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_nobody_else_reads_what_is_written_whatever_the_umask(
    write: Callable[[Path], Any], tmp_path: Path
) -> None:
    former = os.umask(0)
    try:
        make_folder(tmp_path / "a" / "b")
        write(tmp_path / "a" / "b" / "file")
    finally:
        os.umask(former)
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.rglob("*")}
    assert modes == {"a": 0o700, "b": 0o700, "file": 0o600}


@pytest.mark.usefixtures("trained_template")
def test_what_a_training_leaves_is_for_nobody_else_to_read() -> None:
    assert len(list(artifacts_folder().rglob("*.json"))) > 3
    assert open_to_others(artifacts_folder()) == []


def test_a_full_disk_leaves_no_bundle_and_no_draft(tmp_path: Path) -> None:
    with longest_file(5_000), pytest.raises(NoSpace):
        _bundle(tmp_path)
    assert list(tmp_path.iterdir()) == []
    _bundle(tmp_path)
    (folder,) = tmp_path.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_writer_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    def write() -> None:
        with whole_file(tmp_path / "file") as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert list(tmp_path.iterdir()) == []


def test_file_and_folder_are_on_the_disk_when_a_writer_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, sync = [], os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]
    write_whole(tmp_path / "a" / "b" / "file", b"x")
    (part, folder) = synced[2:]
    assert part.parent == folder == tmp_path / "a" / "b"
    assert part.name.startswith(".file.")


def test_a_place_tells_the_time_by_the_clock_that_stamps_its_files(tmp_path: Path) -> None:
    at = place_now(tmp_path)
    (tmp_path / "file").touch()
    assert abs(at.timestamp() - (tmp_path / "file").stat().st_mtime) < 5
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_no_file_takes_the_place_of_a_pipe_or_device(tmp_path: Path) -> None:
    pipe = tmp_path / "report.pdf"
    os.mkfifo(pipe)
    with pytest.raises(BadInput, match="a pipe, socket or device"):
        write_whole(pipe, "%PDF")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [*tmp_path.iterdir()] == [pipe]
