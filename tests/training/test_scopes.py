"""A model per entity, and hours in which the machine is off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from upath import UPath

from tests.pipeline.test_same_rows import run_interval
from tests.plants.trained import CONFIG, SPLIT_AT, START_AT, Plant, config
from tsad_tasks.base.enums import Outcome
from tsad_tasks.base.errors import NothingToDo
from tsad_tasks.base.interval import HOUR
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.champions.champions import promote, register_model
from tsad_tasks.champions.queries import SELECT_MODEL
from tsad_tasks.champions.shadow import judged_shadows
from tsad_tasks.cli.champions import shadow
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.storage.store import Store
from tsad_tasks.training.prepare import find_exclusions
from tsad_tasks.training.queries import NewModel
from tsad_tasks.training.retrain import Retraining, with_chosen_window

OWN = {**CONFIG["detector"], "scope": "entity"}


@pytest.fixture
def own_models(plant: Plant, tmp_path: Path) -> Plant:
    """The plant, retrained with a model for each host that only runs while its CPU does."""
    chosen = config(
        detector=OWN,
        running_when="cpu > 0",
        training={**CONFIG["training"], "epochs": 12, "max_windows": 300},
    )
    plant.execute("TRUNCATE tsad.champion_record")
    with Store.connect(plant.uri) as store:
        run = Retraining(store, chosen, SPLIT_AT, UPath(tmp_path / "run"), UPath(tmp_path))
        assert len(retrain(run)) == 2
        with pytest.raises(NothingToDo, match="before"):
            retrain(run)
    return Plant(plant.uri, chosen)


def test_each_entity_is_scored_by_its_own_model_and_not_while_it_is_off(own_models: Plant) -> None:
    off = "UPDATE plant.metrics SET cpu = 0 WHERE host = 'host-01' AND at >= %s"
    own_models.execute(off, SPLIT_AT + HOUR)
    run_interval(own_models, SPLIT_AT, SPLIT_AT + 2 * HOUR)
    rows = own_models.execute(
        "SELECT s.entity, m.entity, s.status, s.n_needed "
        "FROM tsad.v_status s JOIN tsad.v_model m USING (model_id) ORDER BY s.entity, hour_at"
    )
    assert rows == [
        ("host-01", "host-01", "scored", 12),
        ("host-01", "host-01", "off", 0),
        ("host-02", "host-02", "scored", 12),
        ("host-02", "host-02", "scored", 12),
    ]


def test_a_window_of_auto_is_the_period_of_the_readings(plant: Plant, tmp_path: Path) -> None:
    plant.execute(
        "UPDATE plant.metrics SET cpu = 50 + 30 * sin(2 * pi() * extract(epoch FROM at) / (12 * "
        "300))"
    )
    plant.execute("UPDATE plant.metrics SET temperature = cpu")
    chosen = config(detector={"window": "auto"})
    with Store.connect(plant.uri) as store:
        ingest_interval(store, chosen, plant.uri, start_at=START_AT, end_at=SPLIT_AT, force=True)
        run = Retraining(
            store, chosen, SPLIT_AT, UPath(tmp_path), UPath(tmp_path), lineage="replay"
        )
        find_exclusions(run)
        assert with_chosen_window(run).config.detector.window == 12


def test_each_entity_has_a_shadow_of_its_own_and_one_promotion_leaves_the_other(
    own_models: Plant,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_interval(own_models, SPLIT_AT, SPLIT_AT + HOUR)
    first, second = (_challenged(own_models, version) for version in (2, 3))
    run_interval(own_models, SPLIT_AT + HOUR, SPLIT_AT + 4 * HOUR)
    with Store.connect(own_models.uri) as store:
        found = judged_shadows(store, own_models.config, end_at=SPLIT_AT + 4 * HOUR)
        assert [
            (one.shadow.version, one.compared.n_hours, one.compared.n_steps) for one in found
        ] == [
            (first, 3, 36),
            (second, 3, 36),
        ]
        change = promote(store, own_models.config, first, by="ada", reason="by hand")
    assert (change.former_version, change.valid_from) == (2, SPLIT_AT + 4 * HOUR)
    states = "SELECT version, entity, state FROM tsad.v_model WHERE version > 1 ORDER BY 1"
    assert own_models.execute(states) == [
        (2, "host-01", "former champion"),
        (3, "host-02", "champion"),
        (first, "host-01", "champion"),
        (second, "host-02", "shadow"),
    ]
    monkeypatch.setenv("TSAD_DATABASE_URI", own_models.uri)
    monkeypatch.setenv("TSAD_DATASETS", str(tmp_path))
    (tmp_path / "room.yaml").write_text(
        yaml.safe_dump(CONFIG | {"detector": OWN}), encoding="utf-8"
    )
    shadow("room")
    assert f"Version {second} of host-02, in the shadow since" in capsys.readouterr().out


def _challenged(plant: Plant, version: int) -> int:
    """Version of a challenger that is the champion's bundle once more."""
    ((model_id,),) = plant.execute("SELECT model_id FROM tsad.v_model WHERE version = %s", version)
    with Store.connect(plant.uri) as store:
        row = store.one(SELECT_MODEL, model_id=model_id)
        first = NewModel(**{name: row[name] for name in NewModel.__dataclass_fields__})
        model = replace(first, seed=8, train_end_at=SPLIT_AT + HOUR, parent_model_id=model_id)
        return register_model(
            store, model, [RuleResult("finite_loss", Outcome.MET, 0.1)], []
        ).version
