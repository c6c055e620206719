"""What is said of a rule's result: the same in PDF, form, mail, command line and guide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tsad_tasks.base.enums import Outcome, Stage
from tsad_tasks.base.rule import Better, Rule, RuleResult, in_order, rules_of
from tsad_tasks.base.shown import as_markdown
from tsad_tasks.text.formats import count_text, figure_text, with_unit

RULE_COLUMNS = ("outcome", "rule", "challenger", "champion", "limit", "note")
RULES_COLUMNS = ("rule", "what is measured", "what must hold")
_SIGNS = {Better.HIGHER: "≥ ", Better.LOWER: "≤ ", None: ""}
_NOT_TESTED = "not tested: "


def outcome_text(result: RuleResult) -> str:
    """A result in a word or three; what decides nothing is only shown. Met in doubt is what lies
    beyond its limit by no more than chance explains.

    >>> [outcome_text(RuleResult("hours", one)) for one in Outcome]
    ['met', 'failed', 'not tested']
    >>> [outcome_text(RuleResult("delay_s", one, decides=False)) for one in Outcome]
    ['shown', 'beyond', 'not tested']
    >>> outcome_text(RuleResult("point_share", Outcome.MET, 0.85, 0.9, low=0.72, high=0.93))
    'met in doubt'
    """
    if result.outcome is Outcome.NOT_TESTED:
        return "not tested"
    if not result.decides:
        return "shown" if result.outcome is Outcome.MET else "beyond"
    if result.outcome is not Outcome.MET:
        return "failed"
    return "met in doubt" if doubt(result) else "met"


def limit_text(result: RuleResult) -> str:
    """The limit and which way it counts; empty without one.

    >>> limit_text(RuleResult("latency_ms", Outcome.MET, 3.0, 50.0))
    '≤ 50.0'
    """
    if result.limit_value is None:
        return ""
    return f"{_SIGNS[result.declaration.better]}{figure_text(result.limit_value)}"


def doubt(result: RuleResult) -> str:
    """Why a rule is met whose value is beyond the limit; empty where it is not beyond.

    >>> doubt(RuleResult("incidents_per_entity_week", Outcome.MET, 3.5, 2.0, low=1.9, high=5.9))
    'chance may explain what is above 2.00'
    >>> doubt(RuleResult("point_share", Outcome.MET, 0.95, 0.9, low=0.86, high=0.98))
    ''
    """
    value, limit, better = result.value, result.limit_value, result.declaration.better
    if result.outcome is not Outcome.MET or not range_text(result):
        return ""
    if value is None or limit is None or better is None:
        return ""
    is_beyond = value > limit if better is Better.LOWER else value < limit
    side = "above" if better is Better.LOWER else "below"
    return f"chance may explain what is {side} {figure_text(limit)}" if is_beyond else ""


def range_text(result: RuleResult, between: str = "–") -> str:
    """Where the value may well lie; empty where it is no estimate. What is far below the other end
    is 0.

    >>> range_text(RuleResult("false_alarm_share", Outcome.MET, 0.0, low=4e-19, high=0.00762))
    '0.0–0.00762'
    """
    if result.low is None or result.high is None:
        return ""
    low = 0.0 if abs(result.low) < 1e-9 * abs(result.high) else result.low
    return f"{figure_text(low)}{between}{figure_text(result.high)}"


def full_note(result: RuleResult) -> str:
    """What there is to say beside numbers and outcome: a doubt, and what was measured.

    >>> met = RuleResult("point_share", Outcome.MET, 0.85, 0.9, note="of 20", low=0.72, high=0.93)
    >>> full_note(met)
    'chance may explain what is below 0.900 (likely 0.720 to 0.930); of 20'
    >>> full_note(RuleResult("hours", Outcome.NOT_TESTED, note="not tested: nothing was read"))
    'nothing was read'
    """
    said, note = doubt(result), result.note
    if result.outcome is Outcome.NOT_TESTED:
        note = note.removeprefix(_NOT_TESTED)
    if said:
        said += f" (likely {range_text(result, ' to ')})"
    return "; ".join(filter(None, (said, note)))


def brief_note(result: RuleResult) -> str:
    """The same in a few words, where title, range and limit stand beside it.

    >>> brief_note(RuleResult("point_share", Outcome.MET, 0.95, 0.9, n=60, note="share found …"))
    'of 60 injected'
    >>> brief_note(RuleResult("point_share", Outcome.MET, 0.85, 0.9, low=0.72, high=0.93))
    'may be chance'
    """
    if doubt(result):
        return "may be chance"
    brief = result.declaration.brief
    # Rows of an earlier build have no count.
    is_unknown = brief is not None and "{n" in brief and result.n is None
    if brief is None or is_unknown or result.outcome is Outcome.NOT_TESTED:
        return full_note(result)
    counts = {"n": result.n, "n_found": result.n_found}
    texts = {name: "" if n is None else count_text(n) for name, n in counts.items()}
    return brief.format(**texts)


def failure(result: RuleResult) -> str:
    """A rule that was not met, with its numbers.

    >>> failure(RuleResult("point_share", Outcome.FAILED, 0.62, 0.9, note="share found of 60"))
    'point_share: 0.620, limit at least 0.900 (share found of 60)'
    >>> failure(RuleResult("latency_ms", Outcome.FAILED, 61.0, 50.0, 9.5))
    'latency_ms: 61.0 ms, limit at most 50.0 ms, champion 9.50 ms'
    """
    better, unit = result.declaration.better, result.declaration.unit
    unit = "" if unit == "share" else unit
    which = {Better.LOWER: "at most ", Better.HIGHER: "at least ", None: ""}[better]
    numbers = {"": result.value, f"limit {which}": result.limit_value}
    numbers |= {"champion ": result.champion_value}
    said = [
        f"{name}{with_unit(figure_text(value), unit)}"
        for name, value in numbers.items()
        if value is not None
    ]
    text = f"{result.rule}: {', '.join(said) or 'unknown'}"
    return f"{text} ({result.note})" if result.note else text


def tally(results: Iterable[RuleResult]) -> str:
    """How many rules of a stage decided what.

    >>> tally([RuleResult("hours", Outcome.MET), RuleResult("incidents", Outcome.NOT_TESTED)])
    'passed: 1 of 1 tested rules met, 1 not tested'
    """
    every = list(results)
    deciding = [one for one in every if one.decides and one.outcome is not Outcome.NOT_TESTED]
    n_met = sum(one.outcome is Outcome.MET for one in deciding)
    n_untested = sum(one.outcome is Outcome.NOT_TESTED for one in every)
    n_shown = len(every) - len(deciding) - n_untested
    said = [f"{n_met} of {len(deciding)} tested rules met"]
    said += [f"{n_untested} not tested"] if n_untested else []
    said += [f"{n_shown} only shown"] if n_shown else []
    verdict = "passed" if all(one.passed for one in every) else "not passed"
    return f"{verdict}: {', '.join(said)}"


def table_rows(results: Sequence[RuleResult]) -> list[tuple[str, str, str, str, str, str]]:
    """Cells of `RULE_COLUMNS`, a row a rule, in order.

    >>> table_rows([RuleResult("latency_ms", Outcome.MET, 3.0, 50.0, note="CPU")])
    [('met', 'latency_ms', '3.00', '', '≤ 50.0', 'CPU')]
    """
    rows = []
    for one in in_order(list(results)):
        numbers = (one.value, one.champion_value)
        value, champion = ("" if number is None else figure_text(number) for number in numbers)
        rows.append((outcome_text(one), one.rule, value, champion, limit_text(one), full_note(one)))
    return rows


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; its cells are text, whatever they hold.

    >>> print(markdown_table(("a", "b"), [("1", "x|y")]))
    | a | b |
    |---|---|
    | 1 | `x\\|y` |
    """
    return _table(columns, [[_cell(text) for text in row] for row in rows])


def _cell(text: str) -> str:
    return as_markdown(text).replace("|", r"\|")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    texts = ["| " + " | ".join(line) + " |" for line in lines]
    texts[1] = texts[1].replace(" ", "")
    return "\n".join(texts)


def rules_rows(stage: Stage) -> list[tuple[str, str, str]]:
    """Cells of `RULES_COLUMNS`: the rules of a stage for people."""
    return [
        (f"`{one.name}`", titled(one) + ("" if one.decides else " (only shown)"), one.requires)
        for one in rules_of(stage)
    ]


def rules_table(stage: Stage) -> str:
    """The rules of a stage in Markdown."""
    return _table(RULES_COLUMNS, rules_rows(stage))


def titled(rule: Rule[Any]) -> str:
    """What is measured, and in what unit."""
    return f"{rule.title}, {rule.unit}" if rule.unit not in ("", "share") else rule.title
