"""What every rule of gate and shadow promises, and that a new one is a file: it decides, and is
shown wherever rules are.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from string import Formatter
from types import SimpleNamespace
from typing import Any

import pytest

from tests.plants.weeks import CONFIG, Weeks, config_of, week
from tests.reporting.pdf_text import ascii_text
from tsad_tasks.base.enums import Outcome, Stage
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.places import project_folder
from tsad_tasks.base.rule import RULES, Better, Measured, RuleResult, rules_of
from tsad_tasks.champions.queries import rule_results
from tsad_tasks.champions.rules.base import ShadowComparison
from tsad_tasks.champions.shadow import shadow_results
from tsad_tasks.cli.training import show_gate
from tsad_tasks.reporting.period.pdf import report_bytes
from tsad_tasks.reporting.period.report import period_content
from tsad_tasks.storage.store import Store
from tsad_tasks.text.rules import brief_note, doubt, outcome_text, rules_table
from tsad_tasks.training.rules.base import GateEvidence, GateRule

EVERY = [(stage, name) for stage in Stage for name in RULES[stage]]
FOLDERS = ("training", "champions")


def _top_imports(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (one.name for one in node.names)


def _files() -> list[Path]:
    root = project_folder() / "tsad_tasks"
    return [path for room in FOLDERS for path in sorted((root / room / "rules").glob("*.py"))]


@pytest.mark.parametrize("path", _files(), ids=lambda path: f"{path.parts[-3]}.{path.stem}")
def test_a_family_imports_its_base_and_the_standard_library_alone(path: Path) -> None:
    ours = {"tsad_tasks.base.rule", "tsad_tasks.base.enums"} if path.stem == "base" else set()
    ours |= {f"tsad_tasks.{room}.rules.base" for room in FOLDERS}
    found = {
        name for name in _top_imports(path) if name.split(".")[0] not in sys.stdlib_module_names
    }
    assert found <= ours | {"pydantic"}


def test_all_rules_are_found_without_numpy_and_without_the_warehouse() -> None:
    program = (
        "import sys; from tsad_tasks.base.rule import rules_of;"
        "from tsad_tasks.base.enums import Stage;"
        "assert [rules_of(stage) for stage in Stage];"
        "print([name for name in ('numpy', 'psycopg2', 'keras') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout == "[]\n"


@pytest.mark.parametrize(("stage", "name"), EVERY)
def test_its_limit_is_in_the_dataset_s_file_and_its_texts_name_what_is_measured(
    stage: Stage, name: str
) -> None:
    rule = RULES[stage][name]
    if isinstance(rule.limit, str):
        attrgetter(rule.limit)(config_of())
    assert rule.requires.endswith(".")
    assert (rule.title, rule.better) != ("", None)
    named = {field for _, field, _, _ in Formatter().parse(rule.brief or "") if field}
    assert named <= {"n", "n_found"}


def test_no_two_of_a_stage_look_the_same_or_stand_in_one_place() -> None:
    for stage in Stage:
        rules = rules_of(stage)
        assert (
            len({rule.title for rule in rules}) == len({rule.order for rule in rules}) == len(rules)
        )


@pytest.mark.parametrize(("stage", "name"), EVERY)
def test_what_could_not_be_measured_is_never_met(stage: Stage, name: str) -> None:
    one: Any = SimpleNamespace(n_judged=1, n_entities=1)
    rule = RULES[stage][name]
    for case in rule.untested:
        found = Measured(None, case=case, n=0, facts={"flagged": 0.5})
        result = replace(rule, measure=partial(_given, found)).judge(one, config_of())
        assert (result.outcome, outcome_text(result)) == (Outcome.NOT_TESTED, "not tested")
        assert result.passed


def _given(found: Measured, _evidence: Any) -> Measured:
    return found


def test_a_quiet_shadow_says_of_what_nothing_is_known_that_it_is_not_tested() -> None:
    quiet = ShadowComparison(24, 5000, 5000, (0, 0), (0, 0), 0, (0, 0))
    rows = shadow_results(config_of(), quiet, with_trial=True)
    untested = [row.rule for row in rows if row.outcome is Outcome.NOT_TESTED]
    assert untested == [
        "labels_found",
        "confirmed_found",
        "false_alarms",
        "injected_found",
        "latency_ms",
    ]


@pytest.mark.parametrize("stage", Stage)
def test_the_guide_has_the_rules_as_they_are(stage: Stage) -> None:
    """After a change of rules: tsad rules --markdown, into docs/guides/models.md."""
    guide = project_folder() / "docs" / "guides" / "models.md"
    assert rules_table(stage) in guide.read_text("utf-8")


# A rule of somebody else's
# --------------------------------------------------------------------------------------------------


@pytest.fixture
def lightness() -> Iterator[GateRule]:
    """One that the cheapest of models fails, as it would stand in a file of training/rules."""

    @GateRule(
        title="weight of the model",
        unit="stones",
        better=Better.LOWER,
        limit=10.0,
        meets=lambda found, limit, evidence: (found.value or 0) <= (limit or 0),
        note="weighed {n} times",
        brief="{n} times",
    )
    def lightness(evidence: GateEvidence) -> Measured:
        """Weighs no more than its limit."""
        return Measured(float(evidence.n_bytes[0]), low=9.0, high=1e9, n=3)

    yield lightness
    del RULES[Stage.GATE]._variants[lightness.name]


def test_a_new_rule_decides_and_stands_in_command_line_and_pdf(
    lightness: GateRule, warehouse_uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weeks = Weeks.filled(warehouse_uri, tmp_path)
    summary = weeks.train(week(1))
    assert summary.failed_rules == ["lightness"]
    with Store.connect(weeks.uri) as store:
        show_gate(store, "plant", summary)
        with store.transaction():
            result = rule_results(store, summary.model_id)[-1]
        span = {"start_at": week(0), "end_at": week(2)}
        report = period_content(store, weeks.config, **span, generated_at=week(2))
    (line,) = (line for line in capsys.readouterr().out.splitlines() if " lightness " in line)
    assert line.startswith("failed")
    assert "≤ 10.0" in line
    assert "weighed 3 times" in line
    assert (result.rule, brief_note(result)) == ("lightness", "3 times")
    document, _ = report_bytes(report, compressed=False)
    assert "weight of the model, stones" in ascii_text(document)
    assert "| `lightness` | weight of the model, stones |" in rules_table(Stage.GATE)


def test_its_limit_may_be_another_one_for_a_dataset(lightness: GateRule) -> None:
    assert lightness.limit_in(config_of()) == 10.0
    heavy = config_of(gate=CONFIG["gate"] | {"limits": {"lightness": 1e6}})
    assert lightness.limit_in(heavy) == 1e6
    with pytest.raises(ValueError, match=r"a rule with a limit of its own: .*lightness"):
        config_of(gate={"limits": {"heaviness": 1.0}})


def test_its_doubt_goes_the_way_that_it_declares(lightness: GateRule) -> None:
    met = RuleResult("lightness", Outcome.MET, 12.0, 10.0, low=9.0, high=14.0)
    assert doubt(met) == "chance may explain what is above 10.0"


def test_a_name_is_given_once(lightness: GateRule) -> None:
    with pytest.raises(BadInput, match="Received: lightness, known"):
        lightness(lightness.measure)


def test_a_rule_that_is_gone_keeps_its_rows_and_is_shown_by_its_name() -> None:
    row = RuleResult("old_rule", Outcome.MET, 3.0, 2.0, note="as it was")
    assert (row.declaration.title, doubt(row), brief_note(row)) == ("old rule", "", "as it was")
