"""Work that ends after so many seconds of CPU, however long it would have gone on."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def cpu_limit(seconds: float, error: Exception) -> Iterator[None]:
    """Raises the error within the block once it has taken so many CPU-seconds.

    What counts is the process's CPU in user mode, so a busy machine shortens nothing. Python code
    and `re` are interrupted; other C code ends by itself first. Only the main thread can be
    interrupted: in another one nothing is limited. Of a block within another one the limit that is
    reached first holds.

    >>> with cpu_limit(0.01, ValueError("slow")):
    ...     while True:
    ...         pass
    Traceback (most recent call last):
    ValueError: slow
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or 0 < signal.getitimer(signal.ITIMER_VIRTUAL)[0] <= seconds:
        yield
        return

    # Airflow limits the import of a DAG file by SIGALRM, which therefore is not touched here.
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise error

    outer = signal.signal(signal.SIGVTALRM, stop)
    outer_left_s, _ = signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    began_s = time.process_time()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, outer)
        if outer_left_s:
            left_s = max(outer_left_s - (time.process_time() - began_s), 0.001)
            signal.setitimer(signal.ITIMER_VIRTUAL, left_s)
