"""Incidents of one dataset that begin together, which depend only on the days before them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from tsad_tasks.base.interval import unix_s

# Incidents that begin so soon after the first one belong to it, if they are of so many machines.
GROUP_S, LEAST_ENTITIES = 15 * 60, 3
DAY_S = 86400
# What begins at a time is grouped alike by all that began since so long before it.
REACH_S = 2 * DAY_S + GROUP_S


@dataclass(frozen=True, order=True)
class Beginning:
    """The first flag of an incident that continues no other one; `rose` is None where unknown."""

    at_s: int
    entity: str
    incident_id: str
    channel_id: int | None = None
    rose: bool | None = None


@dataclass(frozen=True)
class CommonMove:
    """What incidents of a group have in common: the channel and the way that most of them name.

    Attributes
    ----------
    channel_id : None: no channel leads more than half of them.
    rose : None: they went both ways, or it is not known.
    all_alike : whether all of them say so.
    """

    channel_id: int | None
    rose: bool | None
    all_alike: bool

    @classmethod
    def of(cls, group: Sequence[Beginning]) -> CommonMove:
        """The one of a group.

        >>> fell = [Beginning(60, name, name, 7, False) for name in ("a", "b", "c")]
        >>> CommonMove.of(fell)
        CommonMove(channel_id=7, rose=False, all_alike=True)
        >>> CommonMove.of([*fell, Beginning(90, "d", "d", 7, True)])
        CommonMove(channel_id=7, rose=False, all_alike=False)
        """
        moves = Counter((one.channel_id, one.rose) for one in group)
        channels = Counter(one.channel_id for one in group)
        for (channel_id, rose), n in moves.items():
            if channel_id is not None and 2 * n > len(group):
                return cls(channel_id, rose, n == len(group))
        for channel_id, n in channels.items():
            if channel_id is not None and 2 * n > len(group):
                return cls(channel_id, None, n == len(group))
        return cls(None, None, all_alike=False)


def incident_groups(beginnings: Sequence[Beginning]) -> list[tuple[Beginning, ...]]:
    """Beginnings within `GROUP_S` of the first one, together; those of few machines are left out.

    Where beginnings follow one another without a pause of `GROUP_S` for longer than a day, a group
    also ends at midnight (UTC): else what belongs together would hang on how all of it began.

    >>> storm = [Beginning(60 * i, f"m{i}", f"INC-{i}") for i in (0, 3, 15, 16)]
    >>> [[one.entity for one in group] for group in incident_groups(storm)]
    [['m0', 'm3', 'm15']]
    """
    return [
        group
        for group in _together(sorted(beginnings))
        if len({one.entity for one in group}) >= LEAST_ENTITIES
    ]


def _together(beginnings: Sequence[Beginning]) -> Iterator[tuple[Beginning, ...]]:
    group: list[Beginning] = []
    since_s = 0
    former_s = None
    for one in beginnings:
        if former_s is None or one.at_s - former_s > GROUP_S:
            since_s = one.at_s
        former_s = one.at_s
        midnight_s = one.at_s - one.at_s % DAY_S
        is_cut = since_s <= midnight_s - DAY_S and bool(group) and group[0].at_s < midnight_s
        if group and (one.at_s - group[0].at_s > GROUP_S or is_cut):
            yield tuple(group)
            group = []
        group.append(one)
    if group:
        yield tuple(group)


def group_id(dataset: str, lineage: str, first_entity: str, first_flag_at: datetime) -> str:
    """Name of a group: the same wherever and whenever it is found.

    >>> from datetime import UTC
    >>> group_id("server_room", "live", "host-1", datetime(2024, 5, 1, tzinfo=UTC))[:4]
    'GRP-'
    """
    parts = (dataset, lineage, first_entity, str(unix_s(first_flag_at)))
    return "GRP-" + blake2b("\x1f".join(parts).encode(), digest_size=5).hexdigest()
