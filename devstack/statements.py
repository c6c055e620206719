"""The statements by which the stack of one machine fills its plant."""

from __future__ import annotations

from pathlib import Path


def statement(name: str) -> str:
    """The text of `devstack/sql/<name>.sql`, whose `{names}` are identifiers to be filled in."""
    return Path(__file__).with_name("sql").joinpath(f"{name}.sql").read_text(encoding="utf-8")
