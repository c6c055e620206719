"""Every document has a preset that is a dataset file as it stands."""

from __future__ import annotations

import pytest
import yaml
from simulators.simulate_cats import CHANNELS

from tsad_tasks.base.errors import ConfigError
from tsad_tasks.config import DatasetConfig
from tsad_tasks.config.presets import preset_names, preset_text
from tsad_tasks.detectors.registry import build_detector


def _config(name: str) -> DatasetConfig:
    return DatasetConfig.model_validate(yaml.safe_load(preset_text(name)))


def test_there_is_a_preset_for_each_document() -> None:
    assert preset_names() == tuple(f"document_{letter}" for letter in "abcde")


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_a_valid_dataset_with_a_known_detector(name: str) -> None:
    config = _config(name)
    n_channels = len(config.channel_names)
    detector = build_detector(
        config.detector.name, width=config.detector.window, n_channels=n_channels,
        n_inputs=n_channels + 2 * len(config.features.cyclic), params=config.detector.params,
    )  # fmt: skip
    assert config.dataset == name
    assert detector.n_channels == n_channels


def test_document_a_reads_the_channels_of_the_simulated_plant() -> None:
    assert tuple(_config("document_a").channel_names) == CHANNELS


def test_an_unknown_preset_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="document_a, document_b"):
        preset_text("document_z")
