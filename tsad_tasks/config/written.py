"""Values as a person would write them into a dataset file."""

from __future__ import annotations

import json
from typing import Any

_UNITS_S = {"d": 86400, "h": 3600, "min": 60}


def written_value(value: Any) -> str:
    """YAML of a value on one line.

    >>> written_value([{"name": "level", "params": {}}]), written_value(16_000_000)
    ('[{name: level, params: {}}]', '16000000')
    >>> print(written_value("two\\nlines"))
    "two\\nlines"
    """
    # Imported here, since a dataset file is read without writing one.
    import yaml

    class OneLine(yaml.SafeDumper):
        """Writes what would take several lines with escapes."""

    def represented(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        style = None if text.isprintable() else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)

    OneLine.add_representer(str, represented)
    plain = json.loads(json.dumps(value, default=lambda one: one.model_dump()))
    text: str = yaml.dump(
        plain, Dumper=OneLine, default_flow_style=True, width=10**9, sort_keys=False,
        allow_unicode=True,
    )  # fmt: skip
    return text.removesuffix("\n").removesuffix("\n...")


def written_duration(seconds: int) -> str:
    """A duration in the largest unit of which it is a whole number.

    >>> written_duration(7200), written_duration(90), written_duration(0)
    ('2h', '90s', '0s')
    """
    unit, unit_s = next(
        ((unit, s) for unit, s in _UNITS_S.items() if seconds and not seconds % s), ("s", 1)
    )
    return f"{seconds // unit_s}{unit}"
