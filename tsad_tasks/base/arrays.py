"""Types of arrays by what they hold; strings, so that naming one does not load NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

Floats32: TypeAlias = "NDArray[np.float32]"
Floats64: TypeAlias = "NDArray[np.float64]"
Ints: TypeAlias = "NDArray[np.int64]"
Flags: TypeAlias = "NDArray[np.bool_]"
Arrays: TypeAlias = "dict[str, NDArray[Any]]"
