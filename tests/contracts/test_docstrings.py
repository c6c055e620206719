"""Whoever reads a function of core finds an example beside it (pytest runs these as doctests)."""

from __future__ import annotations

import importlib
import inspect

import pytest

MODULES = (
    "alerts",
    "budget",
    "confidence",
    "digest",
    "drift",
    "epochs",
    "evaluation",
    "event_rule",
    "exploration",
    "expression",
    "features",
    "hysteresis",
    "incidents",
    "injection",
    "interval",
    "novelty",
    "periods",
    "quality",
    "recurrence",
    "reliability",
    "simulate",
    "simulate_cats",
    "simulate_documents",
    "simulate_fleet",
    "simulate_plants",
    "spans",
    "splits",
    "surprise",
    "surprise_families",
    "surprise_fusion",
    "tails",
    "thresholds",
    "windows",
)


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example(name: str) -> None:
    module = importlib.import_module(f"tsad_tasks.core.{name}")
    functions = [f for f in vars(module).values() if inspect.isfunction(f) and f.__module__ == module.__name__]
    assert functions
    assert [f.__name__ for f in functions if not f.__name__.startswith("_") and ">>>" not in (f.__doc__ or "")] == []
