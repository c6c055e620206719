"""Beside each public function of the pure modules there is an example, which pytest runs."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

from tsad_tasks import model

# What they need is a whole model.
WITHOUT_EXAMPLES = {"scoring", "spec"}
PURE = sorted({one.name for one in pkgutil.iter_modules(model.__path__)} - WITHOUT_EXAMPLES)
MODULES = (
    *("base." + name for name in ("confidence", "digest", "expression", "interval")),
    *(f"model.{name}" for name in PURE),
    "feedback.recurrence",
    "ingest.quality",
    "notifications.alerts",
    "reporting.exploration.statistics",
)


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example(name: str) -> None:
    module = importlib.import_module(f"tsad_tasks.{name}")
    functions = [
        f
        for f in vars(module).values()
        if inspect.isfunction(f) and f.__module__ == module.__name__
    ]
    assert functions
    assert [
        f.__name__
        for f in functions
        if not f.__name__.startswith("_") and ">>>" not in (f.__doc__ or "")
    ] == []
