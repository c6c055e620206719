"""What the gate's rules are made of: their evidence, and what several of them measure alike.

A file of rules imports this and nothing slow at its top, where Airflow would wait for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tsad_tasks.base.rule import Better as Better
from tsad_tasks.base.rule import Measured as Measured
from tsad_tasks.base.rule import Rule, RuleResult

if TYPE_CHECKING:
    from tsad_tasks.config import DatasetConfig, GateSection
    from tsad_tasks.detectors.base import TrainingHistory
    from tsad_tasks.training.commissioning import Level
    from tsad_tasks.training.injected import Delays, DetectionResult

# Machines and channels that a rule names.
MOST_PLACES = 3
# Of what `found_share` counts.
PAIRS = (
    "{lost} that only the champion finds, {won} only the challenger, by chance with {chance:.0%}"
)


@dataclass(frozen=True)
class GateEvidence:
    """What the gate's rules look at.

    Attributes
    ----------
    challenger, champion : on the same held-out readings; None: no champion that sees the same.
    levels : channels of the training range beside their commissioning references.
    latency_ms : CPU time per window of challenger and champion; None where none was measured.
    n_bytes : of the files of challenger and champion.
    n_judged, n_entities : how many entities were judged, of how many.
    is_young : the training range was not filled yet, and there may be nothing to judge.
    """

    config: DatasetConfig
    challenger: DetectionResult
    champion: DetectionResult | None
    history: TrainingHistory
    levels: Sequence[Level] = ()
    latency_ms: tuple[float | None, float | None] = (None, None)
    n_bytes: tuple[int, int | None] = (0, None)
    n_judged: int = 1
    n_entities: int = 1
    is_young: bool = False


@dataclass(frozen=True, kw_only=True)
class GateRule(Rule[GateEvidence]):
    """A rule of the gate.

    Attributes
    ----------
    by_entity : whether it is measured on the entities that were judged.
    is_test : whether it says that the model finds something: without one of them nothing does.
    """

    by_entity: bool = True
    is_test: bool = False

    def judge(self, evidence: GateEvidence, config: Any) -> RuleResult:
        """The rule's row, which says on how many entities it is where these are not all."""
        result = super().judge(evidence, config)
        if not self.by_entity or evidence.n_judged == evidence.n_entities:
            return result
        on_whom = f"; on {evidence.n_judged:,} of {evidence.n_entities:,} entities"
        return replace(result, note=result.note + on_whom)


def least_found(found: Delays, places: Sequence[str]) -> str:
    """Where fewest of the anomalies were found, the worst first; empty where all were, or unknown.

    >>> least_found((None, 3, None, None), ("a cpu", "a cpu", "b fan", "b fan"))
    'Fewest found: b fan 0 of 2, a cpu 1 of 2'
    """
    n, n_found = Counter[str](), Counter[str]()
    for delay, place in zip(found, places, strict=False):
        n[place] += 1
        n_found[place] += delay is not None
    lost = sorted(
        (place for place in n if n_found[place] < n[place]),
        key=lambda place: (n_found[place] / n[place], -n[place], place),
    )
    said = ", ".join(f"{place} {n_found[place]} of {n[place]}" for place in lost[:MOST_PLACES])
    return f"Fewest found: {said}" if said else ""


def most_at(counts: Mapping[str, int]) -> str:
    """Where most is, the most first; empty where there is nothing.

    >>> most_at({"a cpu": 2, "b fan": 7, "c fan": 0})
    'Most: b fan 7, a cpu 2'
    """
    worst = sorted((place for place in counts if counts[place]), key=lambda at: (-counts[at], at))
    said = ", ".join(f"{place} {counts[place]}" for place in worst[:MOST_PLACES])
    return f"Most: {said}" if said else ""


def share_of(delays: Delays) -> float | None:
    """Which share of the anomalies was found; None where there are none.

    >>> share_of((0, None, 3, None)), share_of(())
    (0.5, None)
    """
    return sum(each is not None for each in delays) / len(delays) if delays else None


def found_share(found: Delays, old: Delays | None = None) -> Measured:
    """The share of anomalies that a challenger found, beside the champion's on the same ones.

    With a champion, facts `lost` and `won` count the anomalies that only the champion finds and
    that only the challenger finds, and `chance` is the probability that a challenger as good as the
    champion loses so many of these.

    >>> made = found_share((0, None, None), (None, 4, None))
    >>> made.n_found, made.n, made.facts["lost"], made.facts["won"]
    (1, 3, 1, 1)
    """
    from tsad_tasks.base.confidence import chance_of_losing, share_interval

    n_found = sum(each is not None for each in found)
    facts: dict[str, Any] = {}
    if old is not None:
        pairs = [(new is None, before is None) for new, before in zip(found, old, strict=True)]
        lost, won = pairs.count((True, False)), pairs.count((False, True))
        facts = {"lost": lost, "won": won, "chance": chance_of_losing(lost, won)}
    return Measured(
        share_of(found),
        *share_interval(n_found, len(found)),
        champion=share_of(old) if old else None,
        n=len(found),
        n_found=n_found,
        facts=facts,
    )


# So small a share is not worth a word.
LEAST_CHANCE = 0.01


def beyond_chance(made: Measured, chance: float) -> Measured:
    """A share of what was found, less what as many flags at random would have found.

    >>> made = beyond_chance(Measured(0.7, 0.6, 0.8, n=20), 0.5)
    >>> made.case, [round(one or 0, 3) for one in (made.value, made.low, made.high)]
    ('random', [0.4, 0.2, 0.6])
    """
    if chance < LEAST_CHANCE or made.value is None:
        return made
    if chance >= 1.0:
        value, low, high = 0.0, 0.0, 0.0
    else:
        value, low, high = (
            max(((one or 0.0) - chance) / (1 - chance), 0.0)
            for one in (made.value, made.low, made.high)
        )
    facts = {**made.facts, "chance": chance}
    return replace(made, value=value, low=low, high=high, case="random", facts=facts)


def beside_champion(
    challenger: DetectionResult, champion: DetectionResult | None, gate: GateSection
) -> Measured:
    """The share found of the same anomalies, with the champion's less the tolerance as the limit.

    Case `alone`: there is no champion. Case `wolf`: the champion flags more than `gate` allows of
    the clean steps, which is no standard. Case `nothing`: nothing could be put in.
    """
    found, old = challenger.all_delays, champion.all_delays if champion else None
    if champion is None or not old or not found:
        return Measured(
            share_of(found),
            champion=share_of(old or ()),
            case="nothing" if champion else "alone",
            n=len(found),
        )
    flagged = champion.false_alarm_share
    if flagged is not None and flagged > gate.max_false_alarm_share:
        return Measured(
            share_of(found), champion=share_of(old), case="wolf", facts={"flagged": flagged}
        )
    made = found_share(found, old)
    lost = [delay if before is not None else 0 for delay, before in zip(found, old, strict=True)]
    facts = {**made.facts, "where": least_found(tuple(lost), challenger.all_places)}
    return replace(made, limit=(made.champion or 0.0) - gate.tolerance, facts=facts)


def no_loser(found: Measured, limit: float | None, gate: GateSection) -> bool:
    """Whether a share is within the tolerance, or chance explains it where pairs are few."""
    from tsad_tasks.base.confidence import SURE

    is_few = (found.n or 0) < gate.min_pairs
    return (found.value or 0) >= (limit or 0) or (is_few and found.facts["chance"] > SURE)
