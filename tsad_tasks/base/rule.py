"""What a challenger is judged by: one declaration per rule, which all that is shown of it reads.

A rule turns evidence into numbers. Whether it is met follows from them in `Rule.judge` and nowhere
else; `text.rules` makes the words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from operator import attrgetter
from typing import Any, Generic, Self, TypeVar

from tsad_tasks.base.enums import Outcome, Stage
from tsad_tasks.base.registry import Registry

# A function that takes evidence, so a rule of less is one of more.
Evidence = TypeVar("Evidence", contravariant=True)


class Better(StrEnum):
    """Which way a value is better."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True)
class Measured:
    """The numbers that a rule found in its evidence.

    Attributes
    ----------
    value : in the rule's unit; None where there is none.
    low, high : where the value may well lie, 95 %; None where it is no estimate.
    champion : the champion's value on the same readings.
    n, n_found : how many were looked at, and how many of them were found.
    limit : where it follows from the evidence; None: the rule's own.
    case : which of the rule's `untested` or `cases` this is; empty: the usual one.
    facts : whatever else the rule's texts name.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    champion: float | None = None
    n: int | None = None
    n_found: int | None = None
    limit: float | None = None
    case: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RuleResult:
    """A rule for one model, as a row of `tsad.gate_decision` keeps it.

    >>> [RuleResult("latency_ms", outcome).passed for outcome in Outcome]
    [True, False, True]
    >>> RuleResult("score_drift", Outcome.FAILED, 0.3, 0.25, decides=False).passed
    True
    """

    rule: str
    outcome: Outcome
    value: float | None = None
    limit_value: float | None = None
    champion_value: float | None = None
    note: str = ""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    n_found: int | None = None
    decides: bool = True
    stage: Stage = Stage.GATE

    def __post_init__(self) -> None:
        # Postgres and JSON give the words.
        object.__setattr__(self, "outcome", Outcome(self.outcome))
        object.__setattr__(self, "stage", Stage(self.stage))

    @property
    def passed(self) -> bool:
        """Whether the rule lets the model pass: it does unless it decides and is failed."""
        return not self.decides or self.outcome is not Outcome.FAILED

    @property
    def declaration(self) -> Rule[Any]:
        """The rule's declaration; of one that is not declared any more its name alone."""
        if self.rule in RULES[self.stage]:
            return RULES[self.stage][self.rule]
        return Rule(name=self.rule, title=self.rule.replace("_", " "), better=None, brief=None)


def at_least(measured: Measured, limit: float | None, _evidence: Any) -> bool:
    """Whether the value reaches the limit; without one it does."""
    return limit is None or (measured.value is not None and measured.value >= limit)


def at_most(measured: Measured, limit: float | None, _evidence: Any) -> bool:
    """Whether the value stays within the limit; without one it does."""
    return limit is None or (measured.value is not None and measured.value <= limit)


def _gone(_evidence: Any) -> Measured:
    return Measured(None)


@dataclass(frozen=True, kw_only=True)
class Rule(Generic[Evidence]):
    """One rule: what it is called, how it is measured, and when it is met.

    It decorates the function that measures it. Texts are templates that name fields of `Measured`
    and its facts, and `limit`.

    Attributes
    ----------
    title : what is measured, in a few words.
    name : as rows of `tsad.gate_decision` have it: that of the function.
    measure : the function; the first line of its docstring says what must hold.
    note : what the value was measured on.
    brief : the same beside the title, where there is little room; None: the note.
    cases : notes of other cases than the usual one.
    untested : why there may be nothing to measure; such a case is never met.
    hint : where and why the rule fails, or what to do then.
    better : which way the value is better.
    limit : the field of the dataset's config that holds the limit, such as
        `gate.min_point_share`; or a number, which `limits` of the config's section may replace;
        None: none, or the evidence's.
    meets : whether measured numbers meet a limit; None: by value, the way that `better` says.
    decides : whether a model can fail by it; others are only shown.
    order : the place in what is shown, smallest first.

    >>> def loudest(evidence):
    ...     "No reading is louder than the limit."
    ...     if not evidence:
    ...         return Measured(None, case="none")
    ...     return Measured(max(evidence), n=len(evidence))
    >>> rule = Rule(name="loudest", title="loudest reading", measure=loudest, unit="dB",
    ...     note="of {n} readings", untested={"none": "nothing was heard"},
    ...     better=Better.LOWER, limit=85.0)
    >>> rule.judge([70.0, 91.0], None).outcome.value, rule.judge([], None).note
    ('failed', 'not tested: nothing was heard')
    """

    title: str
    name: str = ""
    measure: Callable[[Evidence], Measured] = _gone
    note: str = ""
    brief: str | None = ""
    cases: Mapping[str, str] = field(default_factory=dict)
    untested: Mapping[str, str] = field(default_factory=dict)
    hint: str = ""
    unit: str = ""
    better: Better | None = Better.HIGHER
    limit: str | float | None = None
    meets: Callable[[Measured, float | None, Evidence], bool] | None = None
    decides: bool = True
    order: int = 1000
    stage: Stage = Stage.GATE

    def __call__(self, measure: Callable[[Evidence], Measured]) -> Self:
        """Declares the rule that a function measures, under the function's name if it has none.

        Raises
        ------
        BadInput
            When another rule of the stage has its name.
        """
        rule = replace(self, measure=measure, name=self.name or measure.__name__)
        RULES[rule.stage].register(rule.name)(rule)
        return rule

    @property
    def requires(self) -> str:
        """What must hold, in a sentence."""
        return " ".join((self.measure.__doc__ or "").partition("\n\n")[0].split())

    def limit_in(self, config: Any) -> float | None:
        """The rule's limit in a dataset's config."""
        limit: float | None
        if isinstance(self.limit, str):
            limit = attrgetter(self.limit)(config)
        else:
            section = getattr(config, self.stage, None)
            limit = getattr(section, "limits", {}).get(self.name, self.limit)
        return limit

    def judge(self, evidence: Evidence, config: Any) -> RuleResult:
        """The rule's row for some evidence."""
        found = self.measure(evidence)
        limit = self.limit_in(config) if found.limit is None else found.limit
        if found.case in self.untested:
            outcome, note = Outcome.NOT_TESTED, f"not tested: {self.untested[found.case]}"
        else:
            meets = self.meets or (at_most if self.better is Better.LOWER else at_least)
            outcome = Outcome.MET if meets(found, limit, evidence) else Outcome.FAILED
            note = self.cases.get(found.case, self.note)
        words = vars(found) | {"limit": limit, **found.facts}
        hint = self.hint.format(**words) if outcome is Outcome.FAILED else ""
        return RuleResult(
            self.name, outcome, found.value, limit, found.champion,
            ". ".join(filter(None, (note.format(**words), hint))),
            found.low, found.high, found.n, found.n_found, self.decides, self.stage,
        )  # fmt: skip


RULES: Mapping[Stage, Registry[Rule[Any]]] = {
    Stage.GATE: Registry("rule of the gate", "tsad_tasks.training.rules"),
    Stage.SHADOW: Registry("rule of the shadow", "tsad_tasks.champions.rules"),
}


def rules_of(stage: Stage) -> list[Rule[Any]]:
    """The rules of a stage, in the order in which they are shown."""
    return sorted((RULES[stage][name] for name in RULES[stage]), key=_place)


def in_order(results: list[RuleResult]) -> list[RuleResult]:
    """Results in the order in which their rules are shown."""
    return sorted(results, key=lambda one: _place(one.declaration))


def _place(rule: Rule[Any]) -> tuple[int, str]:
    return rule.order, rule.name
