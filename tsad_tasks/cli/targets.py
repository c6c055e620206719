"""Where a command writes a PDF: what stands there already is replaced where tsad made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from typer import Option

from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.places import Folder
from tsad_tasks.storage.artifacts import artifact_path

Force = Annotated[bool, Option("--force", help="Replace a file there that tsad did not make.")]
# What the PDFs of tsad say of themselves.
_MARK = b"/Creator (tsad)"


def target_of(text: str | None, *, is_forced: bool) -> Folder | None:
    """The place that a person named; None: none was.

    Raises
    ------
    BadInput
        When a file is there that tsad did not make, unless that is meant.
    """
    if text is None:
        return None
    path = artifact_path(text)
    if not is_forced and path.is_file():
        content = path.read_bytes()
        _check(path, "PDF", is_ours=content.startswith(b"%PDF") and _MARK in content)
    return path


def check_beside(heads: Mapping[Folder, str]) -> None:
    """Raises `BadInput` where a file is that does not begin as the CSV file of that place would."""
    for path, head in heads.items():
        if path.is_file():
            _check(path, "CSV file", is_ours=path.read_bytes().startswith(head.encode()))


def _check(path: Folder, what: str, *, is_ours: bool) -> None:
    if not is_ours:
        raise BadInput(
            f"Expected a place for a new {what}, or one that tsad made. Received: {path}, another "
            "file. Choose another name, or replace it with --force."
        )


def replaced_text(*, is_replaced: bool) -> str:
    """What is said behind the place of a file that stood there before.

    >>> replaced_text(is_replaced=True), replaced_text(is_replaced=False)
    (' (replaced)', '')
    """
    return " (replaced)" if is_replaced else ""
