"""A bundle goes when nothing refers to it, its row stays, and whoever asks for it is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from tests.plants.challengers import FAILED, PASSED
from tests.plants.weeks import WEEK, Weeks, config_of, week
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.champions import prune
from tsad_tasks.champions.champions import promote, register_model, roll_back
from tsad_tasks.champions.prune import PruneSummary, prune_bundles, why_kept
from tsad_tasks.champions.queries import SELECT_MODEL, ModelUse
from tsad_tasks.detectors.bundle import read_bundle, store_bundle
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.monitoring.maintain import maintain_dataset
from tsad_tasks.pipeline.rescore import score_what_if
from tsad_tasks.reporting.evaluation.evaluate import registered_subject
from tsad_tasks.storage.store import Store
from tsad_tasks.training.queries import SELECT_CHAMPION_AT, NewModel

SHORT = {"models": "1d", "scores": "1d"}
NEWEST_AT = week(6)
PRUNED = "SELECT version FROM tsad.v_model WHERE pruned_at IS NOT NULL ORDER BY version"
NEXT_MONTH = datetime.now(UTC) + timedelta(days=30)


@pytest.fixture
def plant(warehouse_uri: str, tmp_path: Path) -> Weeks:
    """Champions of five weeks, versions 1 to 5, and version 6, which did not pass the gate; all but
    one are copies.
    """
    made = Weeks.filled(warehouse_uri, tmp_path, retention=SHORT)
    made.train(week(1))
    for number in range(2, 6):
        register(made, week(number), PASSED)
    register(made, week(5, 1), FAILED)
    return made


def register(plant: Weeks, end_at: datetime, gate: list[RuleResult]) -> None:
    """The first model once more, as if it had been trained until a moment."""
    with Store.connect(plant.uri) as store:
        row = store.one(SELECT_MODEL, model_id=1)
        bundle = read_bundle(UPath(row["artifact_uri"]))
        card = bundle.card | {"train_end_at": end_at.isoformat()}
        folder, sha256 = store_bundle(plant.folder / "plant", bundle.detector, bundle.spec, card)
        first = NewModel(**{name: row[name] for name in NewModel.__dataclass_fields__})
        parent = store.first(
            SELECT_CHAMPION_AT,
            dataset_id=first.dataset_id,
            scope_entity_id=0,
            lineage="live",
            at=end_at,
        )
        model = replace(
            first, train_end_at=end_at, artifact_uri=str(folder), sha256=sha256, card=card
        )
        register_model(
            store,
            replace(model, parent_model_id=parent and parent.model_id),
            gate,
            [],
            in_shadow=False,
        )


def pruned(plant: Weeks, **options: Any) -> PruneSummary:
    chosen: dict[str, Any] = {"newest_at": NEWEST_AT, "kept_s": 86400}
    with Store.connect(plant.uri) as store:
        return prune_bundles(store, plant.config, UPath(plant.folder), **chosen | options)


def folders(plant: Weeks) -> set[str]:
    return {path.name for path in (plant.folder / "plant").iterdir()}


def folder_of(plant: Weeks, version: int) -> Path:
    return Path(
        plant.execute("SELECT artifact_uri FROM tsad.v_model WHERE version = %s", version)[0][0]
    )


USE = ModelUse(1, 1, "/a/b", False, False, False, None, False, None, week(1))
BOUNDS: dict[str, Any] = {"used_before": week(2), "scored_before": week(3)}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"used_until": week(2)}, "still young"),
        ({"is_in_use": True}, "champion or in the shadow"),
        ({"is_waiting": True}, "it waits for its place in the shadow"),
        ({"place": 3}, "one of the last 3 champions"),
        ({"place": 4}, None),
        ({"is_parent_in_use": True}, "parent of a champion or of a challenger in the shadow"),
        ({"scored_until": week(3)}, None),
        ({"scored_until": week(3, 1)}, "its scores are kept"),
    ],
)
def test_each_reference_keeps_a_bundle(changes: dict[str, Any], reason: str | None) -> None:
    assert why_kept(replace(USE, **changes), **BOUNDS) == reason


def test_where_all_scores_are_kept_whoever_was_champion_stays() -> None:
    assert (
        why_kept(replace(USE, scored_until=week(1)), used_before=week(2), scored_before=None)
        is not None
    )


def test_what_nothing_refers_to_goes_and_its_row_and_decisions_stay(plant: Weeks) -> None:
    gone = {folder_of(plant, version).name for version in (1, 2, 6)}
    before, decisions = (
        folders(plant),
        plant.execute("SELECT * FROM tsad.v_model_history ORDER BY decided_at"),
    )
    found = pruned(plant)
    assert found.pruned == (1, 2, 6)
    assert folders(plant) == before - gone
    assert found.n_bytes > 1000
    assert plant.execute("SELECT count(*) FROM tsad.v_model_decision WHERE version IN (2, 6)") == [
        (2,)
    ]
    assert plant.execute("SELECT * FROM tsad.v_model_history ORDER BY decided_at") == decisions
    why = "nothing refers to it, and it was last of use before 2026-04-12 00:00 UTC"
    assert plant.execute(
        "SELECT DISTINCT pruned_because FROM tsad.v_model WHERE pruned_at IS NOT NULL"
    ) == [(why,)]


def test_the_champion_scores_on_and_a_rollback_finds_the_one_before(plant: Weeks) -> None:
    pruned(plant)
    plant.score(week(5), week(5, 3))
    with Store.connect(plant.uri) as store:
        assert roll_back(store, plant.config, by="ada", reason="worse").version == 4
    plant.score(week(5), week(5, 3))
    assert plant.execute("SELECT DISTINCT status, model_id FROM tsad.v_status") == [("scored", 4)]


def test_a_challenger_that_waits_for_the_shadow_keeps_its_bundle_until_it_is_superseded(
    plant: Weeks,
) -> None:
    said = "INSERT INTO tsad.model_decision (model_id, lineage, decision) VALUES (6, 'live', %s)"
    plant.execute(said, "waiting")
    assert 6 not in pruned(plant, dry_run=True).pruned
    plant.execute(said, "superseded")
    assert 6 in pruned(plant, dry_run=True).pruned


def test_a_second_run_finds_nothing_to_remove(plant: Weeks) -> None:
    pruned(plant)
    left = folders(plant)
    again = pruned(plant)
    assert (again.pruned, again.leftovers, again.n_bytes, folders(plant)) == ((), (), 0, left)


def test_a_dry_run_says_the_same_and_removes_nothing(plant: Weeks) -> None:
    before = folders(plant)
    said = pruned(plant, dry_run=True)
    assert (folders(plant), plant.execute(PRUNED)) == (before, [])
    assert pruned(plant) == said


def test_killed_between_row_and_folder_it_is_finished_by_the_next_run(
    plant: Weeks, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = folders(plant)

    def killed(_folder: UPath) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(prune, "remove_folder", killed)
        with pytest.raises(KeyboardInterrupt):
            pruned(plant)
    assert (plant.execute(PRUNED), folders(plant)) == ([(1,), (2,), (6,)], before)
    found = pruned(plant)
    assert (found.pruned, len(found.leftovers), len(folders(plant))) == ((), 3, 3)


def test_whoever_asks_for_a_pruned_version_is_told(plant: Weeks) -> None:
    pruned(plant)
    span = {"start_at": week(2), "end_at": week(2, 2)}
    with Store.connect(plant.uri) as store:
        asked: list[Any] = [
            lambda: promote(store, plant.config, 6, by="ada", reason="try"),
            lambda: roll_back(store, plant.config, by="ada", reason="worse", version=2),
            lambda: score_what_if(store, plant.config, 1, run_id="question", **span),
            lambda: registered_subject(store, plant.config, version=6),
        ]
        for ask in asked:
            with pytest.raises(
                BadInput, match=r"whose bundle is kept\. Received: \d, pruned at 20"
            ):
                ask()
    assert plant.execute("SELECT version FROM tsad.v_model WHERE champion") == [(5,)]


def test_a_question_keeps_its_version_as_long_as_scores_are_kept(plant: Weeks) -> None:
    with Store.connect(plant.uri) as store:
        score_what_if(
            store, plant.config, 6, start_at=week(5), end_at=week(5, 2), run_id="question"
        )
    decisions = {
        one.version: one.because for one in pruned(plant, newest_at=week(5, 25), kept_s=1).decisions
    }
    assert decisions[6] == "its scores are kept"
    assert 6 in pruned(plant, newest_at=week(5, 27), kept_s=1).pruned


def test_a_rolled_back_champion_is_kept_by_its_scores_only(plant: Weeks) -> None:
    with Store.connect(plant.uri) as store:
        roll_back(store, plant.config, by="ada", reason="worse")
    assert 5 not in pruned(plant).pruned
    plant.execute("UPDATE tsad.champion_record SET replaced_at = %s WHERE model_id = 5", week(5, 4))
    assert 5 in pruned(plant, newest_at=week(6)).pruned


def test_leftovers_of_killed_trainings_go_when_they_are_old(plant: Weeks) -> None:
    bundle = read_bundle(UPath(folder_of(plant, 5)))
    leftover, _ = store_bundle(
        plant.folder / "plant", bundle.detector, bundle.spec, {"of": "a killed training"}
    )
    names = {leftover.name, ".0123456789abcdef-x1_2y3z4", "0123456789abcdef0", "notes"}
    for name in names:
        (plant.folder / "plant" / name).mkdir(exist_ok=True)
        (plant.folder / "plant" / name / "model.onnx").write_bytes(b"half")
    assert pruned(plant).leftovers == ()
    found = pruned(plant, now=lambda: NEXT_MONTH)
    assert sorted(found.leftovers) == [".0123456789abcdef-x1_2y3z4", leftover.name]
    assert {"0123456789abcdef0", "notes"} < folders(plant)


def test_a_bundle_that_another_version_shares_stays(plant: Weeks) -> None:
    plant.execute(
        "UPDATE tsad.model SET artifact_uri = %s WHERE version = 6", str(folder_of(plant, 5))
    )
    found = pruned(plant)
    assert (found.pruned, folder_of(plant, 5).exists()) == ((1, 2), True)


def test_bundles_are_known_however_their_place_is_spelled_others_stay(
    plant: Weeks, tmp_path: Path
) -> None:
    plant.execute("UPDATE tsad.model SET artifact_uri = 'file://' || artifact_uri || '/'")
    with Store.connect(plant.uri) as store:
        elsewhere = prune_bundles(
            store, plant.config, UPath(tmp_path / "new"), newest_at=NEWEST_AT, kept_s=1
        )
    assert (elsewhere.pruned, elsewhere.leftovers) == ((), ())
    assert pruned(plant, now=lambda: NEXT_MONTH).pruned == (1, 2, 6)
    assert len(folders(plant)) == 3


def test_maintain_prunes_only_where_it_is_asked_to(
    plant: Weeks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSAD_ARTIFACTS", str(plant.folder))
    with Store.connect(plant.uri) as store:
        ingest_interval(store, plant.config, plant.uri, start_at=week(5), end_at=NEWEST_AT)
    for retention, expected in (({"scores": "1d"}, ()), (SHORT, (1, 2, 6))):
        plant.config = config_of(retention=retention)
        with Store.connect(plant.uri) as store:
            found = maintain_dataset(store, plant.config, plant.uri, at=NEWEST_AT + WEEK)
        assert found.versions_pruned == expected
    assert plant.execute(PRUNED) == [(1,), (2,), (6,)]
