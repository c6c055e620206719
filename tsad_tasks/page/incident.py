"""One incident as the page shows it: the report's own content, and what is said around it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import Any

import numpy as np

from tsad_tasks.base.arrays import Floats64
from tsad_tasks.base.interval import from_unix_s, hour_ceil, hour_floor, unix_s
from tsad_tasks.feedback.maintenance import Maintenance, maintenance_of
from tsad_tasks.ingest.queries import SELECT_LEDGER_ENDS
from tsad_tasks.page import queries
from tsad_tasks.page.alike import AlikeIncident, nearest
from tsad_tasks.page.queries import PageDataset, ShownIncident
from tsad_tasks.reporting.period.channel_figures import ChannelFigures, channel_figures
from tsad_tasks.reporting.period.content import IncidentPage
from tsad_tasks.reporting.period.one_incident import read_bare_page, read_incident_page
from tsad_tasks.storage.datasets import select_dataset, select_entities, select_layouts
from tsad_tasks.storage.readings import read_blocks
from tsad_tasks.storage.store import Store
from tsad_tasks.text import formats
from tsad_tasks.text.sentence import shares_sentence

WEEK = timedelta(days=7)
# Others that began so near are shown beside it.
NEAR = timedelta(minutes=15)
N_COMPARED, N_ALIKE, N_MEANWHILE = 300, 5, 12
N_FIRST = 3
N_KEPT = 8


@dataclass(frozen=True, eq=False)
class Drawn:
    """What the plots of an incident are drawn from.

    Attributes
    ----------
    page : the report's content, its channels by their share of the error.
    week_before : (n_points, n_channels), readings of the same hours a week before.
    is_whole : False: the model was not asked yet, and there are neither channels nor plots.
    """

    page: IncidentPage
    week_before: Floats64
    is_whole: bool = True


@dataclass(frozen=True, eq=False)
class IncidentContent:
    """Everything that the page of one incident says."""

    row: ShownIncident
    parts: tuple[queries.ShownPart, ...]
    dataset: PageDataset
    drawn: Drawn
    figures: tuple[ChannelFigures, ...]
    verdicts: tuple[queries.SaidVerdict, ...]
    labels: tuple[queries.ShownLabel, ...]
    maintenance: tuple[Maintenance, ...]
    alike: tuple[AlikeIncident, ...]
    meanwhile: tuple[queries.MeanwhileIncident, ...]
    messages: tuple[queries.ToldMessage, ...]

    @property
    def shares(self) -> str:
        """Which few channels carry the error, in one sentence."""
        channels = self.drawn.page.channels
        if not channels:
            return ""
        return shares_sentence(
            [one.name for one in channels], [one.error_share for one in channels]
        )

    @property
    def standing_verdict(self) -> queries.SaidVerdict | None:
        """The verdict that counts."""
        return next((one for one in self.verdicts if one.withdrawn_at is None), None)


class DrawnIncidents:
    """What was drawn last: text and plots of one incident are two requests for the same numbers."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], Drawn] = OrderedDict()
        self._lock = Lock()

    def of(self, store: Store, dataset: PageDataset, row: ShownIncident) -> Drawn:
        """What the incident's plots show; computed anew when the incident has changed."""
        key = self._key(store, dataset, row)
        if (kept := self._found(key)) is not None:
            return kept
        drawn = drawn_incident(store, row)
        with self._lock:
            self._kept[key] = drawn
            while len(self._kept) > N_KEPT:
                self._kept.popitem(last=False)
        return drawn

    def so_far(self, store: Store, dataset: PageDataset, row: ShownIncident) -> Drawn:
        """What there is without asking the model, which may take seconds: all of it, or no plots.

        Raises `LookupError` when the incident is gone.
        """
        if (kept := self._found(self._key(store, dataset, row))) is not None:
            return kept
        named = row.dataset, row.incident_id, row.started_at, row.last_flag_at
        return Drawn(read_bare_page(store, *named), np.empty((0, 0)), is_whole=False)

    def _found(self, key: tuple[object, ...]) -> Drawn | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _key(self, store: Store, dataset: PageDataset, row: ShownIncident) -> tuple[object, ...]:
        key: tuple[object, ...] = (
            row.incident_id,
            row.last_flag_at,
            row.n_flags,
            row.peak_score,
            row.model_id,
        )
        ends = store.one(
            SELECT_LEDGER_ENDS, dataset_id=dataset.dataset_id, before_at=row.last_flag_at + WEEK
        )
        return (*key, ends.newest_at if row.state == "open" else row.state)


def drawn_incident(store: Store, row: ShownIncident) -> Drawn:
    """The report's content of one incident, and the same hours a week before.

    Raises `LookupError` when the incident is gone.
    """
    named = row.dataset, row.incident_id, row.started_at, row.last_flag_at
    page = read_incident_page(store, *named)
    return Drawn(page, _week_before(store, row, page))


def _week_before(store: Store, row: ShownIncident, page: IncidentPage) -> Floats64:
    """Readings (n_points, n_channels) seven days of the clocks of Unix before the plotted ones."""
    times = page.scores.times.astype("datetime64[s]").astype(np.int64)
    layout = select_layouts(store, select_dataset(store, row.dataset).dataset_id)[0]
    entity_id = select_entities(store, select_dataset(store, row.dataset).dataset_id)[row.entity]
    first_at = hour_floor(from_unix_s(int(times[0])) - WEEK)
    last_at = hour_ceil(from_unix_s(int(times[-1]) + layout.step_s) - WEEK)
    values = read_blocks(store, layout, [entity_id], first_at, last_at).values[0]
    steps = (times - int(WEEK.total_seconds()) - unix_s(first_at)) // layout.step_s
    names = [layout.channel_names.index(one.name) for one in page.channels]
    return np.asarray(values[steps][:, names], np.float64)


def read_incident(
    store: Store, dataset: PageDataset, row: ShownIncident, drawn: Drawn
) -> IncidentContent:
    """What the page says of an incident, beside its plots."""
    whose = {"dataset": row.dataset, "entity": row.entity}
    span = {"from_at": row.started_at, "to_at": row.last_flag_at}
    before = {"dataset": row.dataset, "started_at": row.started_at, "n": N_COMPARED}
    shown = _shown_span(drawn, row)
    entity_id = select_entities(store, dataset.dataset_id)[row.entity]
    parts = tuple(store.rows(queries.SELECT_SHOWN_PARTS, incident_id=row.incident_id))
    told = [one.incident_id for one in parts]
    near = {"from_at": row.started_at - NEAR, "to_at": row.end_at, "n": N_MEANWHILE}
    return IncidentContent(
        row=row,
        parts=parts,
        dataset=dataset,
        drawn=drawn,
        figures=tuple(
            channel_figures(one, row.started_at, dataset.site_zone) for one in drawn.page.channels
        ),
        verdicts=tuple(store.rows(queries.SELECT_SAID_VERDICTS, **whose, **span)),
        labels=tuple(store.rows(queries.SELECT_SHOWN_LABELS, **whose, **shown)),
        maintenance=tuple(
            one
            for one in maintenance_of(store, dataset.dataset_id, shown["from_at"], shown["to_at"])
            if one.entity_id in (None, entity_id)
        ),
        alike=tuple(
            nearest(row.incident_id, store.rows(queries.SELECT_PEAK_SHARES, **before), N_ALIKE)
        ),
        meanwhile=tuple(store.rows(queries.SELECT_MEANWHILE, **whose, **near)),
        messages=tuple(store.rows(queries.SELECT_TOLD_MESSAGES, incident_ids=told)),
    )


def _shown_span(drawn: Drawn, row: ShownIncident) -> dict[str, Any]:
    times = drawn.page.scores.times.astype("datetime64[s]").astype(np.int64)
    if not len(times):
        return {"from_at": row.started_at, "to_at": row.last_flag_at}
    return {"from_at": from_unix_s(int(times[0])), "to_at": from_unix_s(int(times[-1]))}


def plots(content: IncidentContent, *, rest: bool) -> dict[str, Any]:
    """What the browser draws, as JSON; unknown values are null.

    Parameters
    ----------
    rest : False: the error and the channels that carry most of it; True: the other channels.
    """
    page, drawn, row = content.drawn.page, content.drawn, content.row
    times = page.scores.times.astype("datetime64[s]").astype(np.int64)
    chosen = range(N_FIRST, len(page.channels)) if rest else range(min(N_FIRST, len(page.channels)))
    answer: dict[str, Any] = {
        "zone": content.dataset.site_zone,
        "times": times.tolist(),
        "channels": [_channel(content, i) for i in chosen],
    }
    if rest:
        return answer
    heat = page.heat
    return answer | {
        "incident": [unix_s(row.started_at), unix_s(row.end_at)],
        "flags": np.flatnonzero(page.scores.flags).tolist(),
        "error": {
            "values": _numbers(page.scores.errors, 4),
            "thresholds": _numbers(page.scores.thresholds, 4),
            "threshold_text": page.threshold_label,
        },
        "labels": [[unix_s(one.start_at), unix_s(one.end_at), one.kind] for one in content.labels],
        "maintenance": [
            [unix_s(one.start_at), unix_s(one.end_at), one.name] for one in content.maintenance
        ],
        "heat": heat
        and {
            "starts": heat.bucket_starts.astype("datetime64[s]").astype(np.int64).tolist(),
            "bucket_s": heat.bucket_s,
            "rows": _shades(heat.errors, heat.highest),
            "text": f"error per {formats.duration_text(heat.bucket_s)}, "
            f"0 to {formats.figure_text(heat.highest)}, square-root scale of this incident",
        },
        "week_before": drawn.week_before.shape[0] > 0,
    }


def _channel(content: IncidentContent, i: int) -> dict[str, Any]:
    channel, drawn = content.drawn.page.channels[i], content.drawn
    spread = formats.half_width(channel.worst_lower, channel.worst_upper)
    half = None
    if channel.upper is not None and channel.expected is not None:
        widths = np.asarray(channel.upper) - np.asarray(channel.expected)
        known = widths[np.isfinite(widths)]
        half = float(known[0]) if known.size else None
    known_values = channel.values[np.isfinite(channel.values)]
    middle = float(np.median(np.abs(known_values))) if known_values.size else None
    n_decimals = formats.n_decimals_for(spread if spread is not None else half, middle)
    return {
        "name": channel.name,
        "unit": channel.unit,
        "decimals": n_decimals,
        "values": _numbers(channel.values, n_decimals + 1),
        "expected": None
        if channel.expected is None
        else _numbers(channel.expected, n_decimals + 1),
        "half": half,
        "week_before": _numbers(drawn.week_before[:, i], n_decimals + 1),
    }


def _numbers(values: Any, n_decimals: int) -> list[float | None]:
    """Values as JSON has them: rounded to what can be seen, null where unknown."""
    rounded = np.round(np.asarray(values, np.float64), n_decimals)
    return [float(one) if np.isfinite(one) else None for one in rounded]


def _shades(errors: Any, highest: float) -> list[list[int | None]]:
    """Errors on a square-root scale from 0 to 255; null is missing."""
    shares = np.sqrt(np.clip(np.asarray(errors, np.float64) / (highest or 1.0), 0, 1))
    return [[round(255 * one) if np.isfinite(one) else None for one in row] for row in shares]
