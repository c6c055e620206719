"""The bill of materials names a licence for everything, and stops at one that nobody allowed."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from devstack.sbom import ABSENT, LICENCES, with_licences
from tsad_tasks.base.places import project_folder

RULES: dict[str, Any] = tomllib.loads((project_folder() / LICENCES).read_text(encoding="utf-8"))


def _judged(*names: str, **rules: Any) -> tuple[dict[str, Any], list[str]]:
    bill = {"components": [{"name": name} for name in names]}
    return with_licences(bill, RULES | {"packages": {}} | rules)


def test_a_package_is_listed_with_the_licence_that_it_names() -> None:
    bill, wrong = _judged("numpy", "alembic", "pyyaml")
    assert wrong == []
    assert all(component["licenses"] for component in bill["components"])
    assert bill["components"][1]["licenses"] == [{"license": {"name": "MIT"}}]


@pytest.mark.parametrize(
    ("name", "allowed", "said"),
    [
        ("psycopg2-binary", RULES["allowed"], "GNU Library or Lesser General Public License"),
        ("alembic", ["BSD-3-Clause"], "Received: MIT."),
        ("namex", RULES["allowed"], "Received: none that its metadata names."),
    ],
)
def test_a_licence_that_is_not_allowed_is_named(name: str, allowed: list[str], said: str) -> None:
    _, [wrong] = _judged(name, allowed=allowed)
    assert wrong.startswith(f"{name}: Expected a licence of {LICENCES}")
    assert said in wrong


def test_what_only_another_python_needs_is_listed() -> None:
    bill, wrong = _judged("nobody-has-this")
    assert (bill["components"][0]["licenses"], wrong) == ([{"license": {"name": ABSENT}}], [])


def test_a_reason_for_a_package_that_is_gone_is_named() -> None:
    assert _judged("pyyaml", packages={"gone": {"licence": "MIT"}})[1] == [
        f"gone: Expected a package that is installed with tsad, in {LICENCES}. Received: none."
    ]


def test_every_exception_has_a_reason() -> None:
    assert all(len(one["reason"]) > 10 for one in RULES["packages"].values())


def test_what_lies_in_third_party_is_on_the_bill() -> None:
    folders = {path.name for path in (project_folder() / "third_party").iterdir() if path.is_dir()}
    assert {name.lower() for name in RULES["files"]} == folders
    assert {one["name"] for one in _judged()[0]["components"]} == {*RULES["files"]}
    assert all((project_folder() / one["text"]).is_file() for one in RULES["files"].values())
