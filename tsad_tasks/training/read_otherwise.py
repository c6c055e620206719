"""Hours of a training range that were read by other settings than the dataset file's now."""

from __future__ import annotations

from tsad_tasks.base.interval import HOUR, Interval, Span, merged
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.queries import SELECT_FORMER_SETTINGS
from tsad_tasks.ingest.read_settings import read_settings, value_differences
from tsad_tasks.storage.store import Store
from tsad_tasks.training.queries import SELECT_HOUR_SETTINGS

_SHOWN = 3


def read_otherwise(
    store: Store, config: DatasetConfig, dataset_id: int, span: Interval
) -> dict[str, list[Span]]:
    """Ranges of hours whose values today's settings would not give, by the keys that differ.

    Of hours that were read before settings were kept nothing is known: they are not among them.
    """
    hours = store.rows(SELECT_HOUR_SETTINGS, dataset_id=dataset_id, **span._asdict())
    digests = {hour.digest for hour in hours} - {read_settings(config, {}).digest}
    if not digests:
        return {}
    asked = {"dataset_id": dataset_id, "digests": sorted({hour.digest for hour in hours})}
    former = dict(store.rows(SELECT_FORMER_SETTINGS, **asked))
    # Series are scaled as they were when the source was last read.
    now = read_settings(config, former[hours[-1].digest]["scales"]).settings
    keys = {digest: _keys(former[digest], now) for digest in digests}
    found = dict[str, list[Span]]()
    for hour in hours:
        if why := keys.get(hour.digest):
            found.setdefault(why, []).append((hour.hour_at, hour.hour_at + HOUR))
    return {why: merged(spans) for why, spans in found.items()}


def _keys(former: dict[str, object], now: dict[str, object]) -> str:
    """Keys that differ, as people read them; empty: none that decides a value."""
    names = sorted({one.key for one in value_differences(former, now)})
    n_more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + f" and {n_more} more" * (n_more > 0)
