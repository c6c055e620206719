"""The bill of materials: what is installed with tsad, as CycloneDX, each with its licence.

`uv export --format cyclonedx1.5` gives the components of uv.lock; this adds licences, as the
installed packages say them, and the files of third_party/. A licence that third_party/licences.toml
does not allow ends it with exit code 1. `make sbom` and `make check` run it.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

from tsad_tasks.base.places import project_folder

LICENCES = "third_party/licences.toml"
# Longer ones are the licence's whole text, or its beginning.
_MAX_NAME_CHARACTERS = 60
# The lock file is of all Pythons: what only another one needs is listed, and checked by that one.
ABSENT = "not installed on this Python"
NOTHING = "none that its metadata names"


def with_licences(
    bill: dict[str, Any], rules: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The bill with a licence for each component, and a line on each that is not allowed.

    Parameters
    ----------
    bill : CycloneDX 1.5, of `uv export`.
    rules : of licences.toml.
    """
    wrong: list[str] = []
    for component in bill["components"]:
        name = component["name"]
        named = rules["packages"].get(name)
        licence = named["licence"] if named else said_licence(name, rules["same"])
        component["licenses"] = _licences(licence)
        if named is None and not is_allowed(licence, [*rules["allowed"], ABSENT]):
            rule = f"{name}: Expected a licence of {LICENCES}"
            wrong.append(f"{rule}. Received: {licence}.")
    known = {component["name"] for component in bill["components"]}
    wrong += [
        f"{name}: Expected a package that is installed with tsad, in {LICENCES}. Received: none."
        for name in rules["packages"].keys() - known
    ]
    bill["components"] += [
        {
            "type": "file",
            "name": name,
            "version": file["version"],
            "licenses": _licences(file["licence"]),
        }
        for name, file in rules["files"].items()
    ]
    return bill, sorted(wrong)


def said_licence(package: str, same: Mapping[str, str]) -> str:
    """What an installed package says of its licence."""
    try:
        said = metadata(package)
    except PackageNotFoundError:
        return ABSENT
    for expression in said.get_all("License-Expression") or []:
        return str(expression)
    prefix = "License :: "
    classes = [one for one in said.get_all("Classifier") or [] if one.startswith(prefix)]
    names = [one.rpartition(" :: ")[2] for one in classes if not one.endswith("OSI Approved")]
    if not names:
        names = [str(text).strip() for text in said.get_all("License") or []]
        names = [name for name in names if 0 < len(name) <= _MAX_NAME_CHARACTERS]
    return " AND ".join(same.get(name, name) for name in names) or NOTHING


def is_allowed(expression: str, allowed: list[str]) -> bool:
    """Whether one side of each OR is allowed, and all of what is joined by AND.

    >>> is_allowed("GPL-2.0-only OR MIT", ["MIT"]), is_allowed("GPL-2.0-only AND MIT", ["MIT"])
    (True, False)
    """
    return any(
        all(part.strip() in allowed for part in re.split(r"\bAND\b", side))
        for side in re.split(r"\bOR\b", expression)
    )


def _licences(expression: str) -> list[dict[str, Any]]:
    """As CycloneDX has them: by name, since a class such as BSD License has no identifier."""
    is_one = not re.search(r" (OR|AND|WITH) ", expression)
    return [{"license": {"name": expression}}] if is_one else [{"expression": expression}]


def main(target: Path | None) -> int:
    """The exit code; reads uv's bill from stdin, and writes ours to `target` if there is one."""
    rules = tomllib.loads((project_folder() / LICENCES).read_text(encoding="utf-8"))
    bill, wrong = with_licences(json.load(sys.stdin), rules)
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")
    n = len(bill["components"])
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        print(
            f"{n} components, each under a licence that is allowed" + f": {target}" * bool(target)
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else None))
