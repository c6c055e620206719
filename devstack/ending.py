"""Ends programs and waits until they are gone, where gone includes a zombie that nobody collects.

In a container whose first program collects no orphans, a program that ended keeps its number for
ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import psutil

POLL_S = 0.05


def is_alive(target: psutil.Process) -> bool:
    """Whether the program still runs."""
    try:
        return bool(target.is_running() and target.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def signal_all(targets: Iterable[psutil.Process], send: Callable[[psutil.Process], None]) -> None:
    """Send a signal to each program that is still there."""
    for target in targets:
        with suppress(psutil.NoSuchProcess):
            send(target)


def survivors_after(targets: Sequence[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Those that still run after at most `timeout_s`; the wait ends when all are gone."""
    deadline_s = time.monotonic() + timeout_s
    alive = [target for target in targets if is_alive(target)]
    while alive and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
        alive = [target for target in alive if is_alive(target)]
    return alive


def end_all(targets: Sequence[psutil.Process], *, patience_s: float) -> list[psutil.Process]:
    """Ask each program to end, kill it after `patience_s`; returns what survived even that."""
    signal_all(targets, psutil.Process.terminate)
    stubborn = survivors_after(targets, patience_s)
    signal_all(stubborn, psutil.Process.kill)
    return survivors_after(stubborn, patience_s)
