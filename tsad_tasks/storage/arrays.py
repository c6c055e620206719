"""Arrays and JSON facts in one .npz file, without pickle: what one task leaves for the next."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.files import make_folder, whole_file
from tsad_tasks.base.places import Folder

Write = Callable[[str, NDArray[Any]], None]
_FACTS = "_facts"


@contextmanager
def arrays_writer(path: Folder, facts: dict[str, Any]) -> Iterator[Write]:
    """Writes arrays one by one, never all in memory; facts as they are at the end.

    The file is there once it is whole; see `whole_file` for what it raises.
    """
    make_folder(path.parent)
    with whole_file(path) as stream, zipfile.ZipFile(stream, "w") as archive:

        def write(name: str, array: NDArray[Any]) -> None:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)

        yield write
        write(_FACTS, np.frombuffer(json.dumps(facts, sort_keys=True).encode(), np.uint8))


def write_arrays(path: Folder, arrays: Mapping[str, NDArray[Any]], facts: dict[str, Any]) -> None:
    """One file with these arrays and facts."""
    with arrays_writer(path, facts) as write:
        for name, array in arrays.items():
            write(name, array)


@contextmanager
def arrays_reader(path: Folder) -> Iterator[tuple[Mapping[str, NDArray[Any]], dict[str, Any]]]:
    """Arrays, each of which is read when it is asked for, and facts of a file."""
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
        yield content, json.loads(content[_FACTS].tobytes())


def read_arrays(path: Folder) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """All arrays and the facts of a file."""
    with arrays_reader(path) as (content, facts):
        return {name: content[name] for name in content if name != _FACTS}, facts
