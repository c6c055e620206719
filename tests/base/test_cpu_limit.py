"""Work ends after its CPU-seconds, and what waited for an end of its own gets it afterwards."""

from __future__ import annotations

import re
import signal
import threading
import time

import pytest

from tsad_tasks.base.cpu_limit import cpu_limit


def _works(seconds: float) -> None:
    began_s = time.process_time()
    while time.process_time() - began_s < seconds:
        pass


def test_a_regular_expression_is_interrupted() -> None:
    with pytest.raises(ValueError, match="slow"), cpu_limit(0.05, ValueError("slow")):
        re.fullmatch("(x+x+)+y", "x" * 60)


def test_what_ends_in_time_is_left_alone_and_so_is_what_follows() -> None:
    with cpu_limit(0.05, ValueError("slow")):
        _works(0.01)
    _works(0.1)
    assert signal.getsignal(signal.SIGVTALRM) == signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)


def test_waiting_costs_nothing() -> None:
    with cpu_limit(0.05, ValueError("slow")):
        time.sleep(0.2)


@pytest.mark.parametrize(("inner_s", "said"), [(0.02, "inner"), (5, "outer")])
def test_of_two_limits_the_first_that_is_reached_holds(inner_s: float, said: str) -> None:
    with (
        pytest.raises(ValueError, match=said),
        cpu_limit(0.1, ValueError("outer")),
        cpu_limit(inner_s, ValueError("inner")),
    ):
        _works(1)


def test_an_outer_limit_goes_on_after_an_inner_one() -> None:
    def work() -> None:
        with cpu_limit(0.1, ValueError("outer")):
            with cpu_limit(0.05, ValueError("inner")):
                _works(0.01)
            _works(1)

    with pytest.raises(ValueError, match="outer"):
        work()


def test_another_thread_works_without_a_limit() -> None:
    ended = []

    def work() -> None:
        with cpu_limit(0.02, ValueError("slow")):
            _works(0.1)
        ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [True]
