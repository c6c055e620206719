"""This machine's clock, for names and for what is shown: about rows the warehouse's decides."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The time now, in UTC, as this machine has it; see `Store.now`."""
    return datetime.now(UTC)
