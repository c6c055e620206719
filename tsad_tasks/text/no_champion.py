"""What is said where nothing is scored because there is no champion: the same in every place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.text.formats import joined
from tsad_tasks.text.rules import failure

MOST_NAMED = 3


@dataclass(frozen=True)
class Unchampioned:
    """The newest model of a scope without a champion, and the rules of the gate that it failed.

    Attributes
    ----------
    entity : that the model is of; None: of the whole dataset.
    folds : whether its state has seen all readings, so that only later ones can judge it.
    failed : each in words with its numbers.
    limits : the fields of the dataset file that hold their limits.
    champion_from : from when on the scope has a champion; None: it never had one.
    is_young : it is trained anew every day.
    waits : for a person, since no injected anomaly could be tested.
    """

    version: int
    entity: str | None
    train_end_at: datetime
    folds: bool = False
    failed: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    champion_from: datetime | None = None
    is_young: bool = False
    waits: bool = False

    @property
    def name(self) -> str:
        """The version, and whose model it is."""
        return f"version {self.version}" + (f" ({self.entity})" if self.entity else "")


def failed_texts(results: Sequence[RuleResult]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The rules that a model failed in words, and the fields that hold their limits."""
    failed = [one for one in results if not one.passed]
    limits = [one.declaration.limit for one in failed]
    return (
        tuple(failure(one) for one in failed),
        tuple(dict.fromkeys(limit for limit in limits if isinstance(limit, str))),
    )


def no_champion_sentence(
    dataset: str, found: Sequence[Unchampioned], *, is_whole: bool = True
) -> str:
    """That nothing is scored, and why, without the numbers.

    Parameters
    ----------
    is_whole : no entity has a champion; False: those that `found` names have none.

    >>> at = datetime(2026, 3, 8)
    >>> no_champion_sentence("pumps", [])
    'pumps has no champion, so nothing is scored: no model was trained yet.'
    >>> no_champion_sentence("pumps", [Unchampioned(1, None, at)])
    'pumps has no champion, so nothing is scored: version 1 did not pass its gate.'
    >>> no_champion_sentence("pumps", [Unchampioned(1, None, at, waits=True)]).split(": ")[1]
    'version 1 waits for a person, since no injected anomaly could be tested.'
    """
    if not found:
        return f"{dataset} has no champion, so nothing is scored: no model was trained yet."
    what = "so nothing is scored" if is_whole else "so some of its entities are not scored"
    later = [one for one in found if one.champion_from is not None]
    waiting = [one for one in found if one.champion_from is None and one.waits]
    refused = [one for one in found if one.champion_from is None and not one.waits]
    said = []
    if waiting:
        whose = joined([one.name for one in waiting[:MOST_NAMED]])
        verb = "waits" if len(waiting) == 1 else "wait"
        said.append(f"{whose} {verb} for a person, since no injected anomaly could be tested")
    if refused:
        names = [one.name for one in refused[:MOST_NAMED]]
        n_more = len(refused) - len(names)
        whose = joined([*names, *([f"{n_more} more"] if n_more else [])])
        said.append(f"{whose} did not pass {'its' if len(refused) == 1 else 'their'} gate")
    if later:
        first_at = min(one.champion_from for one in later if one.champion_from)
        said.append(f"the first champion is one from {first_at:%Y-%m-%d %H:%M} UTC on")
    whose = "" if is_whole else " of each entity"
    return f"{dataset} has no champion{whose}, {what}: {'; '.join(said)}."


def ways_on(dataset: str, one: Unchampioned, lineage: str = Lineage.LIVE) -> list[str]:
    """Commands that lead on from a first model that was refused, each with what it is for.

    >>> print("\\n".join(ways_on("pumps", Unchampioned(1, None, datetime(2026, 3, 8)))))
    tsad evaluate pumps --model 1  # what it finds, and where it flags
    tsad explore pumps --training --to 2026-03-08T00:00Z  # what it learned from
    tsad retrain pumps --end 2026-03-08T00:00Z  # again, after labels or the file were changed
    tsad promote pumps 1 --why "…"  # to use it all the same
    """
    of = "" if lineage == Lineage.LIVE else f" --lineage {lineage}"
    end, limits = f"{one.train_end_at:%Y-%m-%dT%H:%MZ}", joined(list(one.limits))
    changed = f"again, after labels or the file{f' ({limits})' if limits else ''} were changed"
    evaluate = f"tsad evaluate {dataset} --model {one.version}{of}"
    use = f'tsad promote {dataset} {one.version} --why "…"{of}'
    if one.waits:
        shown = [] if one.folds else [f"{evaluate}  # where it flags"]
        return [*shown, f"{use}  # to use it"]
    return [
        *([] if one.folds else [f"{evaluate}  # what it finds, and where it flags"]),
        f"tsad explore {dataset} --training --to {end}  # what it learned from",
        f"tsad retrain {dataset} --end {end}{of}  # {changed}",
        f"{use}  # to use it all the same",
    ]


def no_champion_ways(
    dataset: str,
    found: Sequence[Unchampioned],
    lineage: str = Lineage.LIVE,
    newest_at: datetime | None = None,
) -> list[str]:
    """Lines after the sentence: the rules that were failed with their numbers, and what to do.

    Parameters
    ----------
    newest_at : the newest reading; None: nothing was read.
    """
    refused, lines = [one for one in found if one.champion_from is None], []
    for one in refused[:MOST_NAMED]:
        whose = f"{one.name} " if len(refused) > 1 else ""
        lines += [f"  {whose}{text}" for text in one.failed]
    if any(one.is_young for one in refused):
        whose = "It is" if len(refused) == 1 else "Some are"
        lines.append(f"{whose} young: the daily runs of {dataset}.retrain try again.")
    if refused:
        lines += ["What to do:", *(f"  {way}" for way in ways_on(dataset, refused[0], lineage))]
    elif not found:
        of = "" if lineage == Lineage.LIVE else f" --lineage {lineage}"
        end = "<end of the readings>" if newest_at is None else f"{newest_at:%Y-%m-%dT%H:00Z}"
        lines += ["What to do:", f"  tsad retrain {dataset} --end {end}{of}"]
    return lines
