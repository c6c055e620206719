"""The trained plant of tests/steps, for commands too."""

from steps.conftest import plant, trained_template

__all__ = ["plant", "trained_template"]
