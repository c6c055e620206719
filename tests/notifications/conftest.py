"""What a test of messages learns to hide is hidden in no other test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tsad_tasks.base import masking


@pytest.fixture(autouse=True)
def _own_secrets() -> Iterator[None]:
    known = dict(masking._known)
    yield
    masking._known.clear()
    masking._known.update(known)
    # Patterns are kept by how many secrets there were.
    masking._known_pattern.cache_clear()
