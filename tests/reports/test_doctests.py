"""Every example in a docstring of reports is true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import tsad_tasks.reports as reports

NAMES = [module.name for module in pkgutil.iter_modules(reports.__path__)]
WITH_EXAMPLES = {"charts", "flow", "fonts", "formats", "health_pages", "notification", "scales", "sentence", "theme"}


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_true(name: str) -> None:
    failed, attempted = doctest.testmod(importlib.import_module(f"tsad_tasks.reports.{name}"))
    assert failed == 0
    assert attempted > 0 or name not in WITH_EXAMPLES
