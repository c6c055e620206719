"""News of models: what was decided on them, or on a training; what a message says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from tsad_tasks.base.enums import NewsEvent, Outcome, Stage
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.notifications.letter import Letter
from tsad_tasks.storage.database import shown_statement
from tsad_tasks.text.formats import period_text, share_text, stamp_text
from tsad_tasks.text.no_champion import Unchampioned, failed_texts, ways_on
from tsad_tasks.text.rules import failure

Payload = dict[str, Any]
_SUBJECTS: dict[str, str] = {
    NewsEvent.GATE_FAILED: "version {version} failed the gate",
    NewsEvent.WAITS_FOR_PERSON: "version {version} waits for a person: nothing could be tested",
    NewsEvent.SHADOW_FAILED: "version {version} failed in the shadow",
    NewsEvent.TRAINING_STOPPED: "a training was stopped",
    NewsEvent.PROMOTED: "version {version} is champion",
    NewsEvent.ROLLED_BACK: "rolled back to version {version}",
}
NEWS = frozenset(_SUBJECTS)
# What people may look at next.
_SHOWN: dict[str, str] = {
    NewsEvent.GATE_FAILED: "model_rules",
    NewsEvent.WAITS_FOR_PERSON: "model_rules",
    NewsEvent.SHADOW_FAILED: "model_rules",
    NewsEvent.TRAINING_STOPPED: "trainings",
}
_COMMANDS: dict[str, tuple[str, ...]] = {
    NewsEvent.TRAINING_STOPPED: (
        "tsad explore $dataset --training",
        "tsad retrain $dataset --end $end --preview",
    ),
    NewsEvent.PROMOTED: ("tsad models $dataset --history", 'tsad rollback $dataset --why "…"'),
}


@dataclass(frozen=True)
class News:
    """One decision on a live model, or a training that was stopped."""

    news_id: int
    thread: str  # random name, of which keys of messages are hashes
    event: str  # one of `NewsEvent`
    decided_at: datetime
    decided_by: str
    reason: str
    start_at: datetime  # start_at and end_at: the training range
    end_at: datetime
    entity: str | None = None  # that the model is of; None: of the whole dataset, as trainings are
    # version and former_version: the model, and whose place it took; None of a training
    version: int | None = None
    former_version: int | None = None
    # The champion now; None where there is none, or, of a training, each entity has its own
    champion_version: int | None = None
    n_champions: int = 0  # how many there are now, of the entity or the dataset
    valid_from: datetime | None = None
    # Rule, value, limit, champion and note of each rule that was not met
    failed_rules: Sequence[Mapping[str, Any]] = ()
    # excluded_share and left_out: of a training: share of the running readings, in all and by
    # reason
    excluded_share: float | None = None
    left_out: Mapping[str, float] | None = None
    pdf: str | None = None
    folds: bool = False  # of the model: whether only readings after its training can judge it


def news_payload(
    dataset: str,
    zone: str,
    news: News,
    asked: tuple[str | None, str] = (None, ""),
    week: int = 0,
) -> Payload:
    """What is told of a decision; nothing in it is secret, and it needs no more look-up.

    Parameters
    ----------
    asked : of a training that stopped, who is to answer (None: nobody by name), and the schedule of
        the next one.
    week : since how many weeks nobody did; 0: it is told for the first time.
    """
    payload: Payload = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(news).items()
        if name not in ("news_id", "folds") and value not in (None, (), [])
    }
    payload |= {"dataset": dataset, "zone": zone}
    payload |= {"reminder": week} if week else {}
    shown = shown_statement(_SHOWN.get(news.event, "model_history"))
    sql = shown.replace("$version", str(news.version))
    commands = _COMMANDS.get(news.event, ("tsad models $dataset", "tsad models $dataset --history"))
    payload["sql"] = sql.replace("$dataset", dataset)
    end = f"{news.end_at:%Y-%m-%dT%H:%MZ}"
    if news.event == NewsEvent.PROMOTED and news.former_version is None:
        # Nobody to go back to.
        commands = commands[:1]
    payload["commands"] = [
        command.replace("$dataset", dataset).replace("$end", end) for command in commands
    ]
    if news.event == NewsEvent.WAITS_FOR_PERSON and news.version:
        untested = Unchampioned(news.version, news.entity, news.end_at, news.folds, waits=True)
        payload["commands"] = ways_on(dataset, untested)
    if news.event == NewsEvent.GATE_FAILED and not news.n_champions and news.version:
        first = Unchampioned(
            news.version, news.entity, news.end_at, news.folds, limits=_limits(news)
        )
        payload["commands"] = ways_on(dataset, first)
    subject = news_subject(payload)
    told = subject[0].upper() + subject[1:]
    if news.event in (NewsEvent.PROMOTED, NewsEvent.ROLLED_BACK):
        former = news.former_version
        instead = f", in the place of version {former}" if former else ""
        sentence = f"{told}, from {_stamp(payload, 'valid_from')} on{instead}."
    else:
        sentence = f"{told}. {champion_that_stays(news.n_champions, news.champion_version)}"
    if news.event == NewsEvent.TRAINING_STOPPED:
        payload |= {"owner": asked[0]} if asked[0] else {}
        payload["asked"] = _answer_wanted(news, *asked)
    return payload | {"sentence": sentence}


def _answer_wanted(news: News, owner: str | None, schedule: str) -> str:
    """Who is to answer, and what happens when nobody does."""
    asked = (
        f"{owner} is asked what is normal and what to leave out."
        if owner
        else "Nobody is asked by name (notifications.owner)."
    )
    goes_on = "what is champion goes on" if news.n_champions else "nothing is scored"
    again = f"the next training is tried on its schedule ({schedule} UTC)" if schedule else ""
    parts = [goes_on, *([again] if again else []), "this is said again each week"]
    return f"{asked} While nobody answers, {', '.join(parts[:-1])}, and {parts[-1]}."


def _limits(news: News) -> tuple[str, ...]:
    """The fields of the dataset file that hold the limits of the rules that were not met."""
    rules = (RuleResult(one["rule"], Outcome.FAILED) for one in news.failed_rules)
    return failed_texts(list(rules))[1]


def champion_that_stays(n_champions: int, version: int | None) -> str:
    """What a decision that changed nothing leaves.

    >>> champion_that_stays(1, 5), champion_that_stays(2, None)
    ('Version 5 stays champion.', 'The 2 champions stay.')
    >>> champion_that_stays(0, None)
    'There is no champion, so nothing is scored.'
    """
    if n_champions == 1:
        return f"Version {version} stays champion."
    nothing = "There is no champion, so nothing is scored."
    return f"The {n_champions} champions stay." if n_champions else nothing


def news_subject(payload: Payload) -> str:
    """What happened, and to which entity's model.

    >>> news_subject({"event": "gate_failed", "version": 7})
    'version 7 failed the gate'
    >>> news_subject({"event": "training_stopped"})
    'a training was stopped'
    """
    said = _SUBJECTS[payload["event"]].format(**payload)
    if weeks := payload.get("reminder"):
        said += f", {weeks} {'week' if weeks == 1 else 'weeks'} ago, and nobody answered"
    return f"{said} ({payload['entity']})" if "entity" in payload else said


def news_letter(payload: Payload) -> Letter:
    """What the message says, up to what to look at further."""
    start_at, end_at = (datetime.fromisoformat(payload[name]) for name in ("start_at", "end_at"))
    facts = {
        "Dataset": payload["dataset"],
        "Entity": payload.get("entity"),
        "Training": period_text(start_at, end_at, payload["zone"]),
        "Decided": f"{_stamp(payload, 'decided_at')} by {payload['decided_by']}",
        "Because": payload["reason"],
        "Pictures": payload.get("pdf"),
    }
    sections: list[tuple[str, list[str]]] = []
    if "failed_rules" in payload:
        failed = [failed_rule(payload["event"], rule) for rule in payload["failed_rules"]]
        sections.append(("Not met:", failed))
    if payload.get("left_out"):
        shares = payload["left_out"].items()
        left_out = [f"  {share_text(share)} {reason}" for reason, share in shares]
        sections.append(("Left out:", left_out))
    if "asked" in payload:
        sections.append(("", [payload["asked"]]))
    sections.append(("What to do:", [f"  {command}" for command in payload["commands"]]))
    known = {name: text for name, text in facts.items() if text}
    return Letter(payload["sentence"], facts=known, sections=sections)


def failed_rule(event: str, rule: Mapping[str, Any]) -> str:
    """A rule that was not met, with its numbers; JSON has infinity and NaN as text.

    >>> rule = {"rule": "point_share", "value": 0.2, "limit": 0.9, "champion": None}
    >>> failed_rule(NewsEvent.GATE_FAILED, rule | {"note": "share found"})
    '  point_share: 0.200, limit at least 0.900 (share found)'
    """
    value, limit, champion = (
        None if rule[name] is None else float(rule[name]) for name in ("value", "limit", "champion")
    )
    stage = Stage.GATE if event == NewsEvent.GATE_FAILED else Stage.SHADOW
    failed = RuleResult(
        rule["rule"], Outcome.FAILED, value, limit, champion, rule["note"], stage=stage
    )
    return f"  {failure(failed)}"


def news_line(payload: Payload) -> str:
    """One of many, in a digest."""
    return ": ".join(news_parts(payload))


def news_parts(payload: Payload) -> tuple[str, str]:
    """When, and what with its reason."""
    return _stamp(payload, "decided_at"), f"{news_subject(payload)}: {payload['reason']}"


def _stamp(payload: Payload, name: str) -> str:
    return stamp_text(datetime.fromisoformat(payload[name]), payload["zone"])
