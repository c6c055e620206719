"""What sections say of themselves: of each key a description, and YAML that shows all of them."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from typing import Any

from tsad_tasks.base.settings import Section
from tsad_tasks.config.sections import FileSection

_EXAMPLES = "\n\nExamples\n--------\n"


def descriptions(section: type[Section]) -> dict[str, str]:
    """What stands beneath the fields of a dataset file's section, or in the `description` of a
    variant's settings, by the key in the file.

    >>> from tsad_tasks.config.sections import ReportSection
    >>> descriptions(ReportSection)["page_size"]
    "This is the size of the PDF's pages."
    """
    told = {
        key_of(section, name): field.description or ""
        for name, field in section.model_fields.items()
    }
    if issubclass(section, FileSection):
        # Pydantic could read what stands beneath fields, too, but would whenever a DAG is imported.
        defined: Any = ast.parse(inspect.getsource(section)).body[0]
        for field, beneath in pairwise(defined.body):
            if (type(field), type(beneath)) == (ast.AnnAssign, ast.Expr):
                told[key_of(section, field.target.id)] = " ".join(beneath.value.value.split())
    return told


def key_of(section: type[Section], name: str) -> str:
    """A field's key in the file."""
    return section.model_fields[name].alias or name


def summary(section: type[Section]) -> str:
    """What the section is about."""
    return " ".join(inspect.cleandoc(section.__doc__ or "").partition(_EXAMPLES)[0].split())


def examples(section: type[FileSection]) -> list[str]:
    """YAML of the section as it stands in a dataset file; together they show each key.

    >>> from tsad_tasks.config.sections import DriftSection
    >>> examples(DriftSection)
    ['drift: {retrain_above: 0.25}']
    """
    return inspect.cleandoc(section.__doc__ or "").partition(_EXAMPLES)[2].split("\n\n")
