"""Keras without its libraries' chatter, imported when it starts: three seconds and 560 MB."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tsad_tasks.base.extras import require

# Keras and TensorFlow offer to work with these where they are installed; none of that is used here.
NOT_NEEDED = ("pandas", "pyarrow", "sklearn")


def start_keras() -> Any:
    """Keras on TensorFlow, quiet, one thread, deterministic operations.

    Raises
    ------
    BadInput
        When tsad[train] is not installed.
    """
    require("train")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        with _lean_import():
            import keras
            import tensorflow

        if tensorflow.config.threading.get_intra_op_parallelism_threads() != 1:
            tensorflow.config.threading.set_intra_op_parallelism_threads(1)
            tensorflow.config.threading.set_inter_op_parallelism_threads(1)
        tensorflow.config.experimental.enable_op_determinism()
    return keras


@contextmanager
def _lean_import() -> Iterator[None]:
    """Spares half of the CPU of an import of 4,000 modules, and 140 MB.

    What is offered to installed libraries stays out, and the collector does not search for garbage
    among modules, of which there is none.
    """
    modules: dict[str, Any] = sys.modules
    left_out = [name for name in NOT_NEEDED if name not in modules]
    was_collecting = gc.isenabled()
    gc.disable()
    modules.update(dict.fromkeys(left_out))
    try:
        yield
    finally:
        for name in left_out:
            modules.pop(name, None)
        if was_collecting:
            gc.freeze()
            gc.enable()


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what C++ libraries write to standard error; shown only if the block fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
