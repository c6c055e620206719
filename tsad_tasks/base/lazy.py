"""Modules that are loaded at the first look at one of their names.

All detectors are found whenever Airflow reads its DAGs, where NumPy's tenth of a second would be
paid again and again. So their files take `np` from here; what is slower still is imported inside
the function that needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any


class LazyModule:
    """A module that is imported at the first look at one of its names.

    >>> json = LazyModule("json")
    >>> json.dumps([1])
    '[1]'
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        found = getattr(import_module(self.__name__), name)
        # Found at once from now on: `__getattr__` is asked only for what is not there.
        setattr(self, name, found)
        return found


if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

__all__ = ["LazyModule", "np"]
