"""`tsad datasets check`: what a store calls its series now, beside what the tags file says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tsad_tasks.base.errors import TsadError
from tsad_tasks.base.shown import shown
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.check import Finding
from tsad_tasks.ingest.sources.base import ALWAYS_US, Tag, tags_said
from tsad_tasks.stores.recipes import Series, open_store

_SHOWN = 3


def named_otherwise(config: DatasetConfig, uri: str) -> list[Finding]:
    """Series of the tags file that its store has no more or calls otherwise, and those that it has
    besides; none where the store is not known, or tags are from elsewhere.
    """
    if config.source.tags is None:
        return []
    try:
        tags = [tag for tag in tags_said(uri, config) if tag.end_us == ALWAYS_US[1]]
        with open_store(uri) as store:
            if tuple(store.recipe.columns) != config.source.series_columns:
                return []
            known = {one.series: one for one in store.of_ids([tag.series for tag in tags])}
            groups = sorted({one.group for one in known.values()})
            channels = sorted({one.channel for one in known.values()})
            near = store.series(groups, (), channels) if known else []
    except TsadError:
        # No store, one of which there are more series than anybody would list, or none that can be
        # asked, which is told with its tables.
        return []
    return [*_said(tags, known, near)]


def _said(
    tags: Sequence[Tag], known: Mapping[tuple[str, ...], Series], near: Sequence[Series]
) -> Iterator[Finding]:
    gone = ["/".join(tag.series) for tag in tags if tag.series not in known]
    if gone:
        yield Finding("warning", f"{_few(gone)}: not among the store's series of numbers any more.")
    others = [
        f"{'/'.join(tag.series)} ({shown(one.entity)} there, {shown(tag.entity)} here)"
        for tag in tags
        if (one := known.get(tag.series)) is not None and one.entity != tag.entity
    ]
    if others:
        text = "called otherwise in the store; the tags file counts."
        yield Finding("info", f"{_few(others)}: {text}")
    named = {tag.series for tag in tags}
    new = [f"{one.entity} {one.channel}" for one in near if one.series not in named]
    if new:
        text = "in the store, in the same groups and channels, and not in the tags file."
        yield Finding("info", f"{_few(new)}: {text} See: tsad datasets draft.")


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if names[_SHOWN:] else ""
    return ", ".join(names[:_SHOWN]) + more
