"""Task `notify`: tells people of live incidents and models, through an outbox that loses nothing.

`enqueue` brings alerts in line with the incidents that stand, and puts a message for each event and
address into the outbox, in one transaction; `enqueue_news` does that for decisions on models and
trainings, `enqueue_silences` for machines that report no more, `enqueue_outside` for conditions
that training never saw, `enqueue_sensors` for sensors that are out of order. `deliver` sends what
is due, each message in a transaction of its own.

No event is lost, and none is put into the outbox twice. A process that dies after the receiver took
a message and before that was committed sends it again, with the same key (an e-mail's Message-ID, a
webhook's Idempotency-Key): only a receiver that does not drop keys it has seen may get it twice.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar

from tsad_tasks.base.enums import NewsEvent, Role, SilenceEvent, severity_rank
from tsad_tasks.base.errors import Refused, Undelivered, Unreachable
from tsad_tasks.base.variants import CHANNELS
from tsad_tasks.config import DatasetConfig
from tsad_tasks.feedback.maintenance import maintenance_of
from tsad_tasks.notifications import queries
from tsad_tasks.notifications.alerts import (
    AlertableIncident,
    AlertChange,
    Young,
    alert_changes,
)
from tsad_tasks.notifications.channels.base import Message, Send
from tsad_tasks.notifications.excuses import worth_telling
from tsad_tasks.notifications.groups import Told, joined_groups, told_of
from tsad_tasks.notifications.heartbeat import beat
from tsad_tasks.notifications.messages import (
    digest_payload,
    event_payload,
    letter,
    subject,
    with_link,
)
from tsad_tasks.notifications.news import News, Payload, news_payload
from tsad_tasks.notifications.outside import (
    OUTSIDE,
    OutsideExperience,
    by_channel,
    outside_payload,
)
from tsad_tasks.notifications.sensors import (
    OUT_OF_ORDER,
    TROUBLES,
    TroubledSensor,
    looked_span,
    sensors_payload,
    told_of_sensors,
)
from tsad_tasks.notifications.silences import (
    NewSilence,
    OpenSilence,
    QuietEntity,
    new_silences,
    silence_payload,
)
from tsad_tasks.notifications.targets import (
    FOLLOWING,
    Address,
    Heard,
    Recipient,
    Subject,
    recipients,
)
from tsad_tasks.storage.datasets import DatasetRow, lock_dataset, select_dataset
from tsad_tasks.storage.store import Store, columns

log = logging.getLogger("tsad")

# Draws the incident of a message's payload as PNG; None: there is nothing to draw.
Picture = Callable[[Mapping[str, Any]], bytes | None]
_What = TypeVar("_What")
MOST_REFUSALS = 5
_PICTURED = ("opened", "escalated", "taken", "closed")
# So long before anything that could open an alert, closed ones stay as they are: years of them cost
# nothing.
SETTLED = timedelta(days=60)
FIRST_WAIT_S, LONGEST_WAIT_S = 60, 3600


@dataclass(frozen=True)
class EnqueueSummary:
    """Alerts that changed, events told of them, and messages put into the outbox."""

    n_alerts: int = 0
    n_events: int = 0
    n_messages: int = 0


@dataclass(frozen=True)
class NewsSummary:
    """Decisions on models and trainings that are told, and messages put into the outbox."""

    n_news: int = 0
    n_news_messages: int = 0


@dataclass(frozen=True)
class SilenceSummary:
    """Silences that are told, that they began or are over, and messages put into the outbox."""

    n_silences: int = 0
    n_silence_messages: int = 0


@dataclass(frozen=True)
class OutsideSummary:
    """Channels outside of what training saw that are told, and messages put into the outbox."""

    n_outside: int = 0
    n_outside_messages: int = 0


@dataclass(frozen=True)
class SensorSummary:
    """Sensors out of order that are told, and messages put into the outbox."""

    n_sensors: int = 0
    n_sensor_messages: int = 0


@dataclass(frozen=True)
class DeliverySummary:
    """Messages accepted, put off, and given up."""

    n_delivered: int = 0
    n_put_off: int = 0
    n_failed: int = 0


def notify(
    store: Store,
    config: DatasetConfig,
    send: Send,
    *,
    end_at: datetime,
    made_up_from: datetime | None = None,
    picture: Picture | None = None,
) -> dict[str, int]:
    """Counts of what was found to tell and of what was delivered; see `enqueue` and `deliver`."""
    found = asdict(enqueue(store, config, end_at=end_at, made_up_from=made_up_from))
    found |= asdict(enqueue_silences(store, config))
    found |= asdict(enqueue_outside(store, config, end_at=end_at))
    found |= asdict(enqueue_sensors(store, config, end_at=end_at))
    found |= notify_of_models(store, config, send, picture)
    return found | {"n_heartbeats": beat(store, config, send, end_at=end_at)}


def notify_of_models(
    store: Store, config: DatasetConfig, send: Send, picture: Picture | None = None
) -> dict[str, int]:
    """The same without a look at incidents: after a retraining or a promotion."""
    told = asdict(enqueue_news(store, config))
    return told | asdict(deliver(store, config, send, picture=picture))


def enqueue(
    store: Store,
    config: DatasetConfig,
    *,
    end_at: datetime,
    made_up_from: datetime | None = None,
) -> EnqueueSummary:
    """Brings alerts in line with the incidents that stand; each event is a message to each address.

    Without targets there are no alerts. Only incidents with a flag at most `notifications.max_age`
    before the interval's end, or a later newest scored hour, open one: no history is sent. Of what
    rows that came late say it counts when they were found.

    Parameters
    ----------
    made_up_from : from when on the run made up what no run had come to; None: it made up nothing.
        What is older than `source.late` is history.
    """
    wanted = recipients(config)
    if not wanted:
        return EnqueueSummary()
    with store.transaction():
        dataset = select_dataset(store, config.dataset)
        dataset_id = dataset.dataset_id
        lock_dataset(store, dataset_id, "alerts")
        scored_until = store.one(queries.SELECT_NEWEST_SCORED, dataset_id=dataset_id)
        newest_at = max(end_at, scored_until or end_at)
        young = _young(config, newest_at, end_at, made_up_from)
        newer_than = _newer_than(config, dataset, newest_at)
        settled = {"dataset_id": dataset_id, "settled_before": newer_than - SETTLED}
        changes = alert_changes(
            store.rows(queries.SELECT_ALERTS, **settled),
            store.rows(
                queries.SELECT_ALERTABLE_INCIDENTS,
                newer_than=min(newer_than, young.made_up_from or newer_than),
                arrived_since=young.since,
                **settled,
            ),
            gap=timedelta(seconds=dataset.merge_gap_s),
            young=young,
            is_asked=lambda incident: _is_asked(config, incident),
        )
        now_at = store.now()
        told = _told(store, dataset_id, changes, now_at)
        ids = sorted({one.alert.alert_id for one in told if one.alert.alert_id is not None})
        of = {"alert_ids": ids, "now": now_at}
        rows = store.rows(queries.SELECT_TOLD_ADDRESSES, **of) if ids else ()
        known = {(row.alert_id, row.to): row for row in rows}

        def message(what: Told, recipient: Recipient) -> queries.NewNotification | None:
            before = known.get((what.alert.alert_id or 0, recipient.to))
            if not _is_news_to(recipient, what, before):
                return None
            was_told = before is not None and what.to != "untold"
            about = [_rated(config, one) for one in what.about]
            heard = recipient.heard(about, was_told=was_told)
            if not heard:
                return None
            said = what.to_who_was_told(before.severity if before else None)
            row = _event_row(config, said, recipient.to)
            return replace(row, held_until=recipient.held_until(heard, now_at, config.site_zone))

        messages = _by_address(told, wanted, message)
        n_told = len({(row.alert_id, row.event) for own in messages.values() for row in own})
        n_changes = sum(one.is_one for one in changes)
        return EnqueueSummary(n_changes, n_told, _insert(store, config, dataset_id, messages))


def _is_news_to(recipient: Recipient, what: Told, before: queries.ToldAddress | None) -> bool:
    """Whether it is news to an address that was told so much of the alert before."""
    if recipient.keeps_state and not what.holds_for_all:
        return False
    if what.to == "untold":
        return before is None or before.is_waiting
    if what.to == "told":
        told = before.severity if before else None
        return told is not None and severity_rank(what.alert.severity) > severity_rank(told)
    return True


def _rated(config: DatasetConfig, of: Subject) -> Subject:
    """An alert's subject with its priority."""
    priority = config.criticality.priority(of.severity, of.entities[0], of.channel)
    return replace(of, priority=priority)


def _event_row(config: DatasetConfig, what: Told, to: Address) -> queries.NewNotification:
    alert, event = what.alert, what.event
    about = alert.severity if event == "escalated" else ""
    if event == "taken":
        # Of a group one person may take one machine after the other.
        machines = what.entities if what.headline is not None else ()
        about = "\x1f".join([alert.taken_by or "", *machines])
    key = message_key(alert.thread, event, about, *to)
    payload = event_payload(config.dataset, config.site_zone, config.step_s, what)
    if config.criticality.is_said:
        of = alert.severity, alert.entity, alert.channel
        payload["priority"] = config.criticality.priority(*of)
    return queries.NewNotification(alert.alert_id, event, key, *to, payload)


def enqueue_news(store: Store, config: DatasetConfig) -> NewsSummary:
    """Decisions on models and trainings that nobody was told of, as messages to who wants them.

    Told and put into the outbox in one transaction. What was decided longer ago than
    `notifications.max_age`, and what no target wanted when it was new, is never told. Of a training
    that stopped, and after which none went on, its owner is reminded each week.
    """
    hearing = {one.to: one for one in recipients(config)}
    wanted = {
        to: {event for target in one.targets for event in target.news}
        for to, one in hearing.items()
    }
    if (owner := _owner(config)) is not None:
        wanted.setdefault(owner, set()).add(NewsEvent.TRAINING_STOPPED)
    events = sorted({event for chosen in wanted.values() for event in chosen})
    if not events:
        return NewsSummary()
    now_at = store.now()
    newer_than = now_at - timedelta(seconds=config.notifications.max_age_s)
    asked = config.notifications.owner, config.training.schedule
    with store.transaction():
        dataset_id = select_dataset(store, config.dataset).dataset_id
        lock_dataset(store, dataset_id, "alerts")
        new = {"dataset_id": dataset_id, "events": events, "newer_than": newer_than}
        told = store.rows(queries.SELECT_NEWS, news_ids=store.rows(queries.INSERT_NEWS, **new))

        def message(news: News, to: Address, week: int = 0) -> queries.NewNotification:
            key = message_key(news.thread, *([f"week {week}"] if week else []), *to)
            payload = news_payload(config.dataset, config.site_zone, news, asked, week)
            row = queries.NewNotification(None, news.event, key, *to, payload, news.news_id)
            if to == owner or to not in hearing:
                return row
            of = Subject(news.event)
            heard = [Heard(one, of) for one in hearing[to].targets if news.event in one.news]
            held = hearing[to].held_until(heard, now_at, config.site_zone)
            return replace(row, held_until=held)

        messages = {
            to: [message(news, to) for news in told if news.event in chosen]
            for to, chosen in wanted.items()
        }
        stop = store.first(queries.SELECT_OPEN_STOP, dataset_id=dataset_id, now=now_at)
        if stop is not None:
            (news,) = store.rows(queries.SELECT_NEWS, news_ids=[stop.news_id])
            reminded = [to for to, chosen in wanted.items() if news.event in chosen]
            reminded = reminded if owner is None else [owner]
            for to in reminded:
                messages[to].append(message(news, to, stop.week))
        return NewsSummary(len(told), _insert(store, config, dataset_id, messages))


def _by_address(
    told: Sequence[_What],
    wanted: Sequence[Recipient],
    message: Callable[[_What, Recipient], queries.NewNotification | None],
) -> dict[Address, list[queries.NewNotification]]:
    """What is told, to each who wants to hear of it."""
    return {
        one.to: [row for what in told if (row := message(what, one)) is not None] for one in wanted
    }


def enqueue_silences(store: Store, config: DatasetConfig) -> SilenceSummary:
    """Entities that usually report and have stopped, each told once; and once that they are back.

    As of where the source was read up to; what became silent longer than `notifications.max_age`
    before is not told. Told and put into the outbox in one transaction.
    """
    wanted = recipients(config)
    if not wanted or not config.notifications.silence:
        return SilenceSummary()
    with store.transaction():
        dataset = select_dataset(store, config.dataset)
        lock_dataset(store, dataset.dataset_id, "alerts")
        known = store.rows(queries.SELECT_SILENCES, dataset_id=dataset.dataset_id)
        if not known:
            return SilenceSummary()
        told = [*_ended_silences(store, config, dataset, known)]
        told += _begun_silences(store, config, dataset, known)

        now_at = store.now()

        def message(silence: _ToldSilence, recipient: Recipient) -> queries.NewNotification | None:
            to = recipient.to
            of = Subject(silence.event, entities=silence.names)
            if not (heard := recipient.heard([of])):
                return None
            # Of one silence some may be back before the others.
            key = message_key(silence.thread, silence.event, *to)
            said = silence_payload(
                config.dataset,
                config.site_zone,
                silence.thread,
                silence.event,
                silence.said,
                silence.names,
                silence.still_silent,
            )
            held = recipient.held_until(heard, now_at, config.site_zone)
            row = queries.NewNotification(None, silence.event, key, *to, said)
            return replace(row, silence_id=silence.silence_id, held_until=held)

        messages = _by_address(told, wanted, message)
        return SilenceSummary(len(told), _insert(store, config, dataset.dataset_id, messages))


def enqueue_outside(store: Store, config: DatasetConfig, *, end_at: datetime) -> OutsideSummary:
    """Conditions outside of what training saw, each told once however long it lasts.

    What ended longer than `notifications.max_age` before the newest scored hour, and what lies in a
    maintenance window, is not told. Weather that people were told of at some entities is not told
    again at others that day. Told and put into the outbox in one transaction.
    """
    # What never ends is nothing for who keeps it open until it does.
    wanted = [one for one in recipients(config) if not one.keeps_state]
    if not (wanted and config.roles and config.notifications.outside_experience):
        return OutsideSummary()
    with store.transaction():
        dataset_id = select_dataset(store, config.dataset).dataset_id
        lock_dataset(store, dataset_id, "alerts")
        scored_until = store.one(queries.SELECT_NEWEST_SCORED, dataset_id=dataset_id)
        newest_at = max(end_at, scored_until or end_at)
        newer_than = newest_at - timedelta(seconds=config.notifications.max_age_s)
        of = {"dataset_id": dataset_id, "newer_than": newer_than}
        found = store.rows(queries.SELECT_UNTOLD_OUTSIDE, **of)
        if not found:
            return OutsideSummary()
        span = min(one.started_at for one in found), max(one.ended_at for one in found)
        windows = maintenance_of(store, dataset_id, *span)
        found = [one for one in found if not one.is_held(windows)]
        told = [*_told_outside(store, config, found)]

        now_at = store.now()

        def message(episode: _ToldOutside, recipient: Recipient) -> queries.NewNotification | None:
            to = recipient.to
            names = [one.entity for one in episode.found]
            of = Subject(OUTSIDE, entities=names, channel=episode.found[0].channel)
            if not (heard := recipient.heard([of])):
                return None
            key = message_key(episode.thread, OUTSIDE, *to)
            of_it = config.dataset, config.site_zone, episode.thread, episode.found
            said, number = outside_payload(*of_it), episode.episode_id
            held = recipient.held_until(heard, now_at, config.site_zone)
            row = queries.NewNotification(None, OUTSIDE, key, *to, said, episode_id=number)
            return replace(row, held_until=held)

        messages = _by_address(told, wanted, message)
        return OutsideSummary(len(told), _insert(store, config, dataset_id, messages))


def enqueue_sensors(store: Store, config: DatasetConfig, *, end_at: datetime) -> SensorSummary:
    """Sensors that have been out of order for three hours, each told once; those of a run together.

    What ended, or lies in a maintenance window, is not told. Told and put into the outbox in one
    transaction.
    """
    wanted = told_of_sensors(config) if config.notifications.sensors else []
    if not wanted:
        return SensorSummary()
    with store.transaction():
        dataset_id = select_dataset(store, config.dataset).dataset_id
        lock_dataset(store, dataset_id, "alerts")
        # A run over the past tells what is so by now, and no history.
        read_until = store.one(queries.SELECT_NEWEST_READ, dataset_id=dataset_id)
        newest_at = max(end_at, read_until or end_at)
        looked = looked_span(newest_at, config.notifications.max_age_s)
        asked = {"dataset_id": dataset_id, "verdicts": [*TROUBLES], **looked._asdict()}
        rows = store.rows(queries.SELECT_TROUBLED_SENSORS, **asked)
        windows = maintenance_of(store, dataset_id, *looked)
        found = [one for one in rows if not one.is_held(windows)]
        new = [one for one in found if one.trouble_id is None]
        if new:
            name = store.one(queries.INSERT_SENSOR_TROUBLE, dataset_id=dataset_id)
            told = [replace(one, trouble_id=name.trouble_id) for one in new]
            found = [*told, *(one for one in found if one.trouble_id is not None)]
        _keep_sensors(store, found)
        if not new:
            return SensorSummary()
        now_at, zone = store.now(), config.site_zone

        def messages_to(recipient: Recipient) -> list[queries.NewNotification]:
            about = [
                (one, Subject(OUT_OF_ORDER, entities=[one.entity], channel=one.channel))
                for one in new
            ]
            heard = [(one, recipient.heard([of])) for one, of in about]
            of_it = [one for one, wants in heard if wants]
            if not of_it:
                return []
            said = sensors_payload(config.dataset, zone, name.thread, of_it, looked)
            key = message_key(name.thread, OUT_OF_ORDER, *recipient.to)
            row = queries.NewNotification(None, OUT_OF_ORDER, key, *recipient.to, said)
            every = [each for _, wants in heard for each in wants]
            held = recipient.held_until(every, now_at, zone)
            return [replace(row, trouble_id=name.trouble_id, held_until=held)]

        messages = {one.to: messages_to(one) for one in wanted}
        return SensorSummary(len(new), _insert(store, config, dataset_id, messages))


def _keep_sensors(store: Store, found: Sequence[TroubledSensor]) -> None:
    """Keeps up to when what was told lasts, so that nobody is told again."""
    names = ("trouble_id", "entity_id", "channel_id", "since_at", "until_at")
    rows = {name: [getattr(one, name) for one in found] for name in names}
    if found:
        store.execute(queries.UPSERT_TROUBLED_SENSORS, **rows)


class _ToldOutside(NamedTuple):
    """A channel that is outside of what training saw, at some entities."""

    episode_id: int
    thread: str
    found: Sequence[OutsideExperience]


def _told_outside(
    store: Store, config: DatasetConfig, found: Sequence[OutsideExperience]
) -> Iterator[_ToldOutside]:
    """What is told, by channel; keeps also what needs no further message."""
    for channel_id, of_channel in by_channel(found).items():
        channel = config.channel_of(of_channel[0].channel)
        is_weather = channel is not None and channel.role == Role.AMBIENT
        joining = [one for one in of_channel if is_weather and one.is_told_elsewhere]
        if joining:
            known = store.one(queries.SELECT_OUTSIDE_EPISODE, channel_id=channel_id)
            _insert_outside(store, known.episode_id, joining)
        new = [one for one in of_channel if one not in joining]
        if new:
            since_at = min(one.started_at for one in new)
            row = {"channel_id": channel_id, "since_at": since_at}
            name = store.one(queries.INSERT_OUTSIDE_EPISODE, **row)
            _insert_outside(store, name.episode_id, new)
            yield _ToldOutside(*name, new)


def _insert_outside(store: Store, episode_id: int, found: Sequence[OutsideExperience]) -> None:
    store.execute(
        queries.INSERT_OUTSIDE_ENTITIES,
        episode_id=episode_id,
        entity_id=[one.entity_id for one in found],
        since_at=[one.started_at for one in found],
    )


class _ToldSilence(NamedTuple):
    """A silence that began, or is over."""

    silence_id: int
    thread: str
    event: SilenceEvent
    said: NewSilence | OpenSilence
    names: Sequence[str]
    still_silent: Sequence[str] = ()


def _ended_silences(
    store: Store, config: DatasetConfig, dataset: DatasetRow, known: Sequence[QuietEntity]
) -> Iterator[_ToldSilence]:
    """Silences whose entities are back, or all but some that are not for long."""
    members = [one for one in known if one.silence_id is not None]
    if not members:
        return
    until_at, least = members[0].known_until, timedelta(seconds=config.least_silence_s)
    back = {one.entity_id for one in members if one.is_back}
    gone = {one.entity_id for one in members if one.state == "retired"}
    _end_members(store, back, until_at, is_back=True)
    _end_members(store, gone, until_at, is_back=False)
    of = {"dataset_id": dataset.dataset_id}
    still_open = {one.silence_id: one for one in store.rows(queries.SELECT_OPEN_SILENCES, **of)}
    ids = [one.silence_id for one in members if one.silence_id is not None]
    for silence_id in dict.fromkeys(ids):
        silence = still_open.get(silence_id)
        left = [
            one
            for one in members
            if one.silence_id == silence_id and one.entity_id not in back | gone
        ]
        if silence is not None:
            first_at = silence.first_back_at
            if first_at is None or until_at - first_at < least:
                continue
            # Those that are left are told by themselves when they are back.
            _end_members(store, {one.entity_id for one in left}, until_at, is_back=False)
            _stored_silence(store, dataset, NewSilence(silence.carrier, False, tuple(left)))
        else:
            silence = store.one(queries.SELECT_SILENCE, silence_id=silence_id)
        rows = store.rows(queries.SELECT_SILENT_NAMES, silence_id=silence_id)
        names = [row.entity for row in rows if row.is_back]
        if names:
            others = [one.entity for one in left]
            named = silence.thread, SilenceEvent.BACK, silence, names, others
            yield _ToldSilence(silence.silence_id, *named)


def _end_members(
    store: Store, entity_ids: Collection[int], until_at: datetime, *, is_back: bool
) -> None:
    ended = {"entity_ids": sorted(entity_ids), "ended_at": until_at, "is_back": is_back}
    store.execute(queries.UPDATE_SILENT_ENTITIES, **ended)


def _begun_silences(
    store: Store, config: DatasetConfig, dataset: DatasetRow, known: Sequence[QuietEntity]
) -> Iterator[_ToldSilence]:
    """Silences of entities that nobody was told of."""
    max_age = timedelta(seconds=config.notifications.max_age_s)
    new = [one for one in known if one.is_new]
    new = worth_telling(store, config, dataset, new, max_age)
    of = {"dataset_id": dataset.dataset_id}
    for silence in store.rows(queries.SELECT_OPEN_SILENCES, **of) if new else ():
        joining = [one for one in new if one.state == "silent" and silence.takes(one)]
        new = [one for one in new if one not in joining]
        _insert_members(store, silence.silence_id, joining)
    for begun in new_silences(new):
        silence_id, thread = _stored_silence(store, dataset, begun)
        names = [one.entity for one in begun.entities]
        yield _ToldSilence(silence_id, thread, SilenceEvent.SILENT, begun, names)


def _stored_silence(store: Store, dataset: DatasetRow, begun: NewSilence) -> queries.SilenceName:
    row = {"carrier": begun.carrier, "is_whole": begun.is_whole, "since_at": begun.since_at}
    name = store.one(queries.INSERT_SILENCE, dataset_id=dataset.dataset_id, **row)
    _insert_members(store, name.silence_id, begun.entities)
    return name


def _insert_members(store: Store, silence_id: int, members: Sequence[QuietEntity]) -> None:
    store.execute(
        queries.INSERT_SILENT_ENTITIES,
        silence_id=silence_id,
        entity_id=[one.entity_id for one in members],
        since_at=[one.last_at for one in members],
    )


def _insert(
    store: Store,
    config: DatasetConfig,
    dataset_id: int,
    messages: Mapping[Address, list[queries.NewNotification]],
) -> int:
    """Messages put into the outbox that were not in it, to be sent; a digest where there are too
    many, and one of what was found late. What waits is bundled when its time comes.

    What a digest says is kept, too: its address was told.
    """
    every = [row for own in messages.values() for row in own]
    digests: list[tuple[queries.NewNotification, list[str]]] = []
    for to, own in messages.items():
        said = _together(own, config.notifications.max_per_run)
        if said and not CHANNELS[to.medium].keeps_state:
            payload = digest_payload(
                config.dataset, config.site_zone, [one.payload for one in said]
            )
            key = message_key(*(row.key for row in said))
            digest = queries.NewNotification(None, "digest", key, *to, payload)
            digests.append((digest, [row.key for row in said]))
    rows = [*every, *(digest for digest, _ in digests)]
    n_inserted = _insert_rows(store, config, dataset_id, rows)
    n_bundled = sum(
        store.execute(queries.UPDATE_BUNDLE, key=digest.key, keys=keys) for digest, keys in digests
    )
    return n_inserted - n_bundled


def _together(
    messages: Sequence[queries.NewNotification], max_per_run: int
) -> list[queries.NewNotification]:
    """Those of one address that leave at once as one digest; none: each leaves by itself."""
    own = [row for row in messages if row.held_until is None]
    late = [row for row in own if row.payload.get("found_late")]
    if len(own) - len(late) + min(1, len(late)) > max_per_run:
        return own
    return late if len(late) > 1 else []


def _insert_rows(
    store: Store,
    config: DatasetConfig,
    dataset_id: int,
    rows: Sequence[queries.NewNotification],
) -> int:
    unnested = columns(rows, queries.NewNotification)
    marked = [_marked(config, row) for row in rows]
    linked = [with_link(payload, config.notifications.base_url) for payload in marked]
    unnested["payload"] = [json.dumps(payload, ensure_ascii=False) for payload in linked]
    n_inserted = store.execute(queries.INSERT_NOTIFICATIONS, dataset_id=dataset_id, **unnested)
    # What waited of the same alert leaves first; the end of one wakes nobody for its beginning.
    keys = [
        row.key for row in rows if not (row.event in FOLLOWING and CHANNELS[row.medium].keeps_state)
    ]
    store.execute(queries.UPDATE_HELD, keys=keys)
    return n_inserted


def _marked(config: DatasetConfig, row: queries.NewNotification) -> Payload:
    """The row's payload; in a rehearsal its owner is told that it is one."""
    told = config.notifications
    is_rehearsed = told.mode == "rehearsal" and row.address == told.owner
    return row.payload | {"rehearsal": True} if is_rehearsed else row.payload


def _owner(config: DatasetConfig) -> Address | None:
    """Where the one person is asked whom a training that stopped waits for."""
    owner = config.notifications.owner
    return None if owner is None else Address("email", config.notifications.owner_connection, owner)


def _told(
    store: Store, dataset_id: int, changes: Sequence[AlertChange], now_at: datetime
) -> list[Told]:
    """What is told of changes of alerts, which are stored; those of a group as one."""
    of = {"incident_ids": [one.began_as for one in changes]}
    groups = {row.incident_id: row for row in store.rows(queries.SELECT_ALERTED_GROUPS, **of)}
    stored = [
        _stored(store, dataset_id, change) if change.is_one else change
        for change in joined_groups(changes, groups)
    ]
    ids = [one.alert.alert_id for one in stored if one.alert.group_id is not None]
    leads = store.rows(queries.SELECT_GROUP_LEADS, alert_ids=ids) if ids else ()
    return told_of(stored, groups, {one.group_id: one for one in leads}, now_at)


def _stored(store: Store, dataset_id: int, change: AlertChange) -> AlertChange:
    """The change as stored: a new alert with its number and the name of its thread."""
    alert = asdict(change.alert)
    if change.former is not None:
        store.execute(queries.UPDATE_ALERT, **alert)
        return change
    name = store.one(queries.INSERT_ALERT, **alert | {"dataset_id": dataset_id})
    return replace(change, alert=replace(change.alert, **name._asdict()))


def _young(
    config: DatasetConfig, newest_at: datetime, end_at: datetime, made_up_from: datetime | None
) -> Young:
    """Which incidents open alerts."""
    since = newest_at - timedelta(seconds=config.notifications.max_age_s)
    if made_up_from is None:
        return Young(since)
    known_from = max(made_up_from, end_at - timedelta(seconds=config.late_s))
    return Young(since, known_from, end_at - timedelta(seconds=config.interval_s))


def _is_asked(config: DatasetConfig, incident: AlertableIncident) -> bool:
    """Whether people want to be told of what its channel did."""
    channel = config.channel_of(incident.channel) if incident.channel else None
    wanted = "both" if channel is None else channel.alert_on
    return wanted == "both" or incident.direction in (None, wanted)


def _newer_than(config: DatasetConfig, dataset: DatasetRow, newest_at: datetime) -> datetime:
    """Incidents with a later flag may open an alert, or be a part of a long fault that has one."""
    age_s = config.notifications.max_age_s + config.alarm_policy.max_length_s + dataset.merge_gap_s
    return newest_at - timedelta(seconds=age_s)


def message_key(*parts: str) -> str:
    """Name of a message, the same in every attempt.

    >>> message_key("a", "opened", "") == message_key("a", "opened", ""), len(message_key("a"))
    (True, 32)
    """
    return blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def retire_alerts(store: Store, config: DatasetConfig, *, newest_at: datetime, kept_s: int) -> int:
    """Messages removed with alerts that ended longer than `kept_s` before the newest reading.

    Alerts that are open, or closed so lately that they are still followed, stay.
    """
    with store.transaction():
        dataset = select_dataset(store, config.dataset)
        dataset_id = dataset.dataset_id
        lock_dataset(store, dataset_id, "alerts")
        scored_until = store.one(queries.SELECT_NEWEST_SCORED, dataset_id=dataset_id)
        known_at = min(newest_at, scored_until or newest_at)
        followed_from = _newer_than(config, dataset, known_at) - SETTLED
        before_at = min(newest_at - timedelta(seconds=kept_s), followed_from)
        n_messages = store.execute(
            queries.DELETE_NOTIFICATIONS, dataset_id=dataset_id, before_at=before_at
        )
        store.execute(queries.DELETE_ALERTS, dataset_id=dataset_id, before_at=before_at)
        return n_messages


def deliver(
    store: Store,
    config: DatasetConfig,
    send: Send,
    *,
    now: Callable[[], datetime] | None = None,
    picture: Picture | None = None,
) -> DeliverySummary:
    """What came of sending what is due, oldest first; what is not accepted waits for a later run.

    Waits grow from one minute to an hour. What a receiver refuses is tried five times and then
    marked as failed. Runs at the same time share the work.

    Parameters
    ----------
    send : sends one message; raises `Undelivered` or one of its kinds when it was not accepted.
    now : tells what is due: by default the warehouse's clock.
    picture : draws an incident for channels that show one; by default there are no pictures.
    """
    now_at = (now or store.now)()
    with store.transaction():
        dataset_id = select_dataset(store, config.dataset).dataset_id
        lock_dataset(store, dataset_id, "alerts")
        _bundle(store, config, dataset_id, now_at)
    pictures = _Pictures(store, picture)
    # What waits for targets waits on while a rehearsal lasts.
    only = config.notifications.owner if config.notifications.mode == "rehearsal" else None
    attempts = list(_attempts(store, dataset_id, send, now_at, pictures, only))
    n_delivered = sum(attempt.delivered_at is not None for attempt in attempts)
    n_failed = sum(attempt.failed_at is not None for attempt in attempts)
    return DeliverySummary(n_delivered, len(attempts) - n_delivered - n_failed, n_failed)


def _bundle(store: Store, config: DatasetConfig, dataset_id: int, now_at: datetime) -> None:
    """Makes one digest, to each address, of the messages that waited until now.

    Of an alert it says how it stands: what came last.
    """
    waited: dict[Address, list[queries.ReleasedNotification]] = {}
    of = {"dataset_id": dataset_id, "now": now_at}
    for one in store.rows(queries.SELECT_RELEASED_NOTIFICATIONS, **of):
        waited.setdefault(Address(one.medium, one.connection, one.address), []).append(one)
    for to, own in waited.items():
        if len(own) < 2 or (to.medium in CHANNELS and CHANNELS[to.medium].keeps_state):
            continue
        last = {one.payload.get("thread", one.key): one.payload for one in own}
        payload = digest_payload(config.dataset, config.site_zone, list(last.values()))
        payload |= {"waited": True}
        key = message_key("digest", *(one.key for one in own))
        _insert_rows(
            store, config, dataset_id, [queries.NewNotification(None, "digest", key, *to, payload)]
        )
        store.execute(queries.UPDATE_BUNDLE, key=key, keys=[one.key for one in own])


class _Pictures:
    """Pictures of incidents that were drawn for this run; a message goes without one that fails."""

    def __init__(self, store: Store, draw: Picture | None) -> None:
        self._store, self._draw = store, draw
        self._drawn: dict[str, bytes | None] = {}

    def lacks(self, due: queries.DueNotification) -> bool:
        """Whether the message's picture is still to be drawn."""
        if self._draw is None or due.payload["event"] not in _PICTURED:
            return False
        takes_html = due.medium in CHANNELS and CHANNELS[due.medium].takes_html
        return takes_html and due.payload["incident_id"] not in self._drawn

    def draw(self, payload: dict[str, Any]) -> None:
        """In a transaction of its own: what fails here undoes nothing else."""
        drawn = None
        try:
            with self._store.transaction():
                drawn = self._draw and self._draw(payload)
        except Exception as error:
            said = type(error).__name__
            log.warning("%s: its message has no picture: %s", payload["incident_id"], said)
        self._drawn[payload["incident_id"]] = drawn

    def of(self, payload: dict[str, Any]) -> bytes | None:
        """The picture of a message; None: it has none."""
        is_pictured = payload["event"] in _PICTURED
        return self._drawn.get(payload["incident_id"]) if is_pictured else None


def _attempts(
    store: Store,
    dataset_id: int,
    send: Send,
    now_at: datetime,
    pictures: _Pictures,
    only_address: str | None,
) -> Iterator[queries.Attempt]:
    """What came of each message that is due, committed.

    An unforeseen error is raised once its message was put off, so that it stops the others once.
    """
    unreachable: set[str] = set()
    while True:
        with store.transaction():
            asked: dict[str, object] = {"dataset_id": dataset_id, "only_address": only_address}
            asked["unreachable"] = sorted(unreachable)
            due = store.first(queries.SELECT_DUE_NOTIFICATION, now=now_at, **asked)
            if due is None:
                return
            is_ready = not pictures.lacks(due)
            if is_ready:
                attempt, error = _attempt(send, due, now_at, pictures.of(due.payload))
                row = {"notification_id": due.notification_id, **asdict(attempt)}
                store.execute(queries.UPDATE_NOTIFICATION, **row)
        if not is_ready:
            pictures.draw(due.payload)
            continue
        if isinstance(error, Unreachable):
            unreachable.add(due.connection)
        elif error is not None and not isinstance(error, Undelivered):
            raise error
        yield attempt


def _attempt(
    send: Send, due: queries.DueNotification, now_at: datetime, picture: bytes | None
) -> tuple[queries.Attempt, Exception | None]:
    """Sends a message: what came of it, with the next attempt, and what went wrong."""
    try:
        send(_message(due, picture))
    except Exception as error:
        # Of what nobody foresaw only its kind: its text may hold anything.
        known = isinstance(error, Undelivered)
        last_error = str(error)[:500] if known else type(error).__name__
        n_refused = due.n_refused + isinstance(error, Refused)
        if n_refused >= MOST_REFUSALS:
            return queries.Attempt(n_refused, failed_at=now_at, last_error=last_error), error
        next_at = now_at + waiting_time(due.attempts)
        return queries.Attempt(n_refused, next_attempt_at=next_at, last_error=last_error), error
    return queries.Attempt(due.n_refused, delivered_at=now_at), None


def _message(due: queries.DueNotification, picture: bytes | None) -> Message:
    """What is sent: text, and HTML where the channel takes it."""
    title, said = subject(due.payload), letter(due.payload)
    to = due.key, due.medium, due.connection, due.address
    message = Message(*to, title, said.as_text(), due.payload)
    if due.medium not in CHANNELS or not CHANNELS[due.medium].takes_html:
        return message
    about = "" if picture is None else "Readings over time, with what was expected of them."
    return replace(message, html=said.as_html(title, about), picture=picture)


def waiting_time(n_attempts: int) -> timedelta:
    """How long to wait after an attempt that so many others came before.

    >>> [waiting_time(n).total_seconds() for n in (0, 1, 5, 6, 60)]
    [60.0, 120.0, 1920.0, 3600.0, 3600.0]
    """
    return timedelta(seconds=min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(n_attempts, 10)))
