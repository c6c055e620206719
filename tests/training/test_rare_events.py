"""Events that are rare on the step of their dataset are told before anybody learns from them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tsad_tasks.config import DatasetConfig
from tsad_tasks.storage.json_files import from_json_value, json_value
from tsad_tasks.training.reader import Scope, TrainingReader, training_range
from tsad_tasks.training.survey import Survey, surveyed

END_AT = datetime(2026, 3, 16, tzinfo=UTC)


@pytest.mark.parametrize(("hours_apart", "said"), [(24, "Set step: 1h (1 of 21)"), (1 / 12, "")])
def test_a_training_names_the_step_for_events_of_which_few_steps_have_one(
    hours_apart: float, said: str
) -> None:
    source = {"connection": "plant", "tables": "t", "time": {"column": "at"}, "step": "1min"}
    channels = {"temp": {}, "trips": {"signal": "event_count"}}
    fields = {**source, "entity": {"column": "host"}, "channels": channels}
    training = {"range": "5d", "min_hours": 10}
    config = DatasetConfig.model_validate(
        {"dataset": "presses", "source": fields, "training": training}
    )

    def read(entities: Sequence[int], start_at: datetime, end_at: datetime) -> np.ndarray:
        steps = int((end_at - start_at) / timedelta(minutes=1))
        trips = np.arange(steps) % round(hours_apart * 60) == 0
        return np.stack([np.stack([np.full(steps, 20.0), trips], axis=1)] * len(entities))

    reader = TrainingReader(read, config, training_range(config, END_AT), [])
    found = surveyed(reader, Scope(0, "all", (("m1", 1), ("m2", 2))))
    kept = from_json_value(json_value(found), Survey)
    texts = kept.rare_events(config)
    assert len(texts) == bool(said)
    # Two machines are learned from for three days and a half each, in which four midnights lie.
    began = "trips: 8 events in 7 days of one machine, the step is 60 s: 1 of 1,260 steps has one"
    assert all(one.startswith(began) and said in one for one in texts)
