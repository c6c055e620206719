"""Variants that a dataset file names and that higher rooms hold: sources and ways to people.

The registries stand here so that the file's names and settings are checked when it is read, long
before the room that owns the variants is at work. A variant has what its room's `base.py` says.
"""

from __future__ import annotations

from typing import Any

from tsad_tasks.base.registry import Registry

SOURCES: Registry[Any] = Registry("source.kind", "tsad_tasks.ingest.sources")
CHANNELS: Registry[Any] = Registry("notification channel", "tsad_tasks.notifications.channels")
