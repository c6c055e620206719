"""What a message says of a model: the payload that a webhook gets, and the same as a short
e-mail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from tsad_tasks.base.enums import NewsEvent, Outcome, Stage
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.notifications.news import News
from tsad_tasks.text.formats import period_text, share_text, stamp_text
from tsad_tasks.text.rules import failure

Payload = dict[str, Any]
_SUBJECTS: dict[str, str] = {
    NewsEvent.GATE_FAILED: "version {version} failed the gate",
    NewsEvent.SHADOW_FAILED: "version {version} failed in the shadow",
    NewsEvent.TRAINING_STOPPED: "a training was stopped",
    NewsEvent.PROMOTED: "version {version} is champion",
    NewsEvent.ROLLED_BACK: "rolled back to version {version}",
}
NEWS = frozenset(_SUBJECTS)
# Shown to people, never run from here.
_RULES_SQL = (
    "SELECT rule, value, limit_value, champion_value, passed, note FROM tsad.v_model_decision "
    "WHERE dataset = '$dataset' AND version = $version ORDER BY passed, stage, rule"
)
_TRAINING_SQL = (
    "SELECT * FROM tsad.v_training_decision WHERE dataset = '$dataset' ORDER BY decided_at DESC"
)
HISTORY_SQL = (
    "SELECT * FROM tsad.v_model_history WHERE dataset = '$dataset' ORDER BY decided_at DESC"
)
_SQL: dict[str, str] = {
    NewsEvent.GATE_FAILED: _RULES_SQL,
    NewsEvent.SHADOW_FAILED: _RULES_SQL,
    NewsEvent.TRAINING_STOPPED: _TRAINING_SQL,
}
_COMMANDS: dict[str, tuple[str, ...]] = {
    NewsEvent.TRAINING_STOPPED: (
        "tsad explore $dataset --training",
        "tsad retrain $dataset --preview",
    ),
    NewsEvent.PROMOTED: ("tsad models $dataset --history", 'tsad rollback $dataset --why "…"'),
}


def news_payload(dataset: str, zone: str, news: News) -> Payload:
    """What is told of a decision; nothing in it is secret, and it needs no more look-up."""
    fields = {
        name: value
        for name, value in asdict(news).items()
        if name != "news_id" and value not in (None, (), [])
    }
    times = {
        name: value.isoformat() for name, value in fields.items() if isinstance(value, datetime)
    }
    payload: Payload = fields | times | {"dataset": dataset, "zone": zone}
    sql = (
        _SQL.get(news.event, HISTORY_SQL)
        .replace("$version", str(news.version))
        .replace("$dataset", dataset)
    )
    commands = _COMMANDS.get(news.event, ("tsad models $dataset", "tsad models $dataset --history"))
    payload |= {
        "sql": sql,
        "commands": [command.replace("$dataset", dataset) for command in commands],
    }
    return payload | {"sentence": _sentence(payload)}


def news_subject(payload: Payload) -> str:
    """What happened, and to which entity's model.

    >>> news_subject({"event": NewsEvent.GATE_FAILED, "version": 7}), news_subject({"event": NewsEvent.TRAINING_STOPPED})
    ('version 7 failed the gate', 'a training was stopped')
    """
    said = _SUBJECTS[payload["event"]].format(**payload)
    return f"{said} ({payload['entity']})" if "entity" in payload else said


def _sentence(payload: Payload) -> str:
    """What happened and who is champion, in a sentence or two."""
    subject = news_subject(payload)
    told = subject[0].upper() + subject[1:]
    if payload["event"] in (NewsEvent.PROMOTED, NewsEvent.ROLLED_BACK):
        return f"{told}, from {stamp_text(_time(payload, 'valid_from'), payload['zone'])} on{_instead(payload)}."
    return f"{told}. {_who_stays(payload)}"


def _who_stays(payload: Payload) -> str:
    """The champion that stays.

    >>> [_who_stays({"n_champions": n, "champion_version": 5}) for n in (0, 1, 2)]
    ['There is no champion yet.', 'Version 5 stays champion.', 'The 2 champions stay.']
    """
    n_champions = payload["n_champions"]
    if n_champions == 1:
        return f"Version {payload['champion_version']} stays champion."
    return f"The {n_champions} champions stay." if n_champions else "There is no champion yet."


def _instead(payload: Payload) -> str:
    former = payload.get("former_version")
    return f", in the place of version {former}" if former else ""


def _time(payload: Payload, name: str) -> datetime:
    return datetime.fromisoformat(payload[name])


def news_lines(payload: Payload) -> list[str]:
    """The text of the e-mail, up to what to look at further."""
    lines = [payload["sentence"], "", *_facts(payload)]
    if "failed_rules" in payload:
        failed = [_failed_rule(payload["event"], rule) for rule in payload["failed_rules"]]
        lines += ["", "Not met:", *failed]
    if payload.get("left_out"):
        shares = payload["left_out"].items()
        lines += ["", "Left out:", *(f"  {share_text(share)} {reason}" for reason, share in shares)]
    return [*lines, "", "What to do:", *(f"  {command}" for command in payload["commands"])]


def _facts(payload: Payload) -> list[str]:
    zone = payload["zone"]
    labelled = {
        "Dataset": payload["dataset"],
        "Entity": payload.get("entity"),
        "Training": period_text(_time(payload, "start_at"), _time(payload, "end_at"), zone),
        "Decided": f"{stamp_text(_time(payload, 'decided_at'), zone)} by {payload['decided_by']}",
        "Because": payload["reason"],
        "Pictures": payload.get("pdf"),
    }
    return [f"{name + ':':<10} {text}" for name, text in labelled.items() if text]


def _failed_rule(event: str, rule: Mapping[str, Any]) -> str:
    """A rule that was not met, with its numbers; JSON has infinity and NaN as text.

    >>> _failed_rule(NewsEvent.GATE_FAILED, {"rule": "point_share", "value": 0.2, "limit": 0.9, "champion": None, "note": "share found"})
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
    return f"{stamp_text(_time(payload, 'decided_at'), payload['zone'])}: {news_subject(payload)}: {payload['reason']}"
