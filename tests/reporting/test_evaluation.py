"""An evaluation judges by labels where there are, else by what was injected, and changes
nothing.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from upath import UPath

from tests.plants.trained import END_AT, SPLIT_AT, START_AT, Plant, artifacts_folder
from tests.reporting.pdf_text import n_pages
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import unix_s
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.ingest.queries import UPSERT_LABELS, Label
from tsad_tasks.reporting.evaluation.content import EvaluationContent
from tsad_tasks.reporting.evaluation.evaluate import (
    EvaluationSummary,
    evaluate_model,
    evaluate_run,
    evaluated_until,
    registered_subject,
    span_of_card,
)
from tsad_tasks.reporting.evaluation.judged_readings import judged_parts
from tsad_tasks.storage.datasets import select_dataset, select_entities
from tsad_tasks.storage.store import Store, columns
from tsad_tasks.training.retrain import Retraining

NOW = datetime(2026, 3, 8, 1, tzinfo=UTC)
FAULT_AT = SPLIT_AT + timedelta(minutes=350)


def evaluated(
    plant: Plant, folder: Path, **options: Any
) -> tuple[EvaluationContent, EvaluationSummary]:
    fields: dict[str, Any] = {
        "until_at": SPLIT_AT,
        "seed": 7,
        "folder": UPath(folder),
        "now": lambda: NOW,
    } | options
    with Store.connect(plant.uri) as store:
        subject = registered_subject(store, plant.config)
        return evaluate_model(store, plant.config, subject, **fields)


def with_fault(plant: Plant) -> Plant:
    """The half day after the training, with one of its two faults labelled."""
    with Store.connect(plant.uri) as store:
        ingest_interval(store, plant.config, plant.uri, start_at=SPLIT_AT, end_at=END_AT)
        with store.transaction():
            ids = select_entities(store, select_dataset(store, "room").dataset_id)
            store.execute(
                UPSERT_LABELS,
                **columns(
                    [
                        Label(
                            ids["host-02"],
                            FAULT_AT,
                            FAULT_AT + timedelta(minutes=150),
                            "hot",
                            "file",
                            "",
                        )
                    ],
                    Label,
                ),
            )
    return plant


def test_without_labels_it_judges_by_injected_anomalies_and_says_so(
    plant: Plant, tmp_path: Path
) -> None:
    content, summary = evaluated(plant, tmp_path)
    assert content.evidence == "injected"
    assert [part.name for part in content.parts] == ["training", "validation", "test"]
    assert all(
        {kind for kind, _, _ in part.by_kind} >= {"point", "collective"} for part in content.parts
    )
    assert all(part.figures.roc_auc > 0.8 for part in content.parts)
    assert "injected" in summary.finding
    assert n_pages(Path(summary.pdf).read_bytes()) == summary.n_pages


def test_labels_after_the_training_are_what_it_judges_by(plant: Plant, tmp_path: Path) -> None:
    content, summary = evaluated(with_fault(plant), tmp_path, until_at=END_AT)
    later = content.parts[-1]
    assert (content.evidence, content.headline.name, later.name) == ("labels", "later", "later")
    assert later.by_kind == (("hot", 1, 1),)
    assert later.figures.events.n_found == 1
    assert (later.start_at, later.end_at) == (SPLIT_AT, END_AT)
    # An hour's alert comes at its end: the fault begins at minute 50 of its hour.
    assert later.figures.events.delay_s[0] % 3600 == 600
    assert summary.finding.startswith("Finds all 1 labelled anomaly in the later readings")


def test_the_figures_in_json_are_those_of_the_pages(plant: Plant, tmp_path: Path) -> None:
    content, summary = evaluated(plant, tmp_path)
    figures = json.loads(Path(summary.json).read_text())
    test = next(part for part in figures["parts"] if part["name"] == "test")
    assert test["roc_auc"] == content.headline.figures.roc_auc
    assert test["events"]["n_found"] == content.headline.figures.events.n_found
    assert (figures["evidence"], figures["finding"]) == ("injected", summary.finding)


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_anomalies(
    plant: Plant, tmp_path: Path
) -> None:
    files = [
        Path(evaluated(plant, tmp_path / str(n), seed=seed)[1].pdf)
        for n, seed in enumerate((7, 7, 8))
    ]
    first, again, other = (file.read_bytes() for file in files)
    assert first == again
    assert first != other


def test_an_evaluation_writes_nothing_into_the_warehouse(plant: Plant, tmp_path: Path) -> None:
    before = plant.rows()
    evaluated(plant, tmp_path)
    assert plant.rows() == before


def test_no_reading_is_in_two_parts(plant: Plant) -> None:
    with Store.connect(plant.uri) as store:
        subject = registered_subject(store, plant.config)
    parts = judged_parts(subject, END_AT)
    width_s = plant.config.detector.window * plant.config.source.step_s
    for before, after in pairwise(parts[:-1]):
        assert unix_s(after.start_at) - unix_s(before.end_at) == width_s
    assert (parts[0].start_at, parts[-1].end_at) == (SPLIT_AT - timedelta(days=5), END_AT)


def test_examples_show_readings_with_what_was_expected(plant: Plant, tmp_path: Path) -> None:
    content, _ = evaluated(with_fault(plant), tmp_path, until_at=END_AT)
    found = content.examples[0]
    assert found.title.startswith("Found, the clearest: hot · host-02")
    assert (found.channel.name, found.anomalies[0][0]) == ("temperature", FAULT_AT)
    assert found.channel.lower is not None
    inside = np.isfinite(found.channel.lower)
    assert inside.mean() > 0.9
    assert found.scores.flags.any()


def test_a_retraining_leaves_a_report_in_its_folder(plant: Plant) -> None:
    with Store.connect(plant.uri) as store:
        run = Retraining(
            store,
            plant.config,
            SPLIT_AT,
            UPath(artifacts_folder() / "run"),
            UPath(artifacts_folder()),
        )
        said = evaluate_run(run)
    report = said["reports"]["all"]
    assert Path(report["pdf"]).read_bytes().startswith(b"%PDF")
    assert Path(report["pdf"]).with_name("evaluation.json").exists()
    assert report["finding"].startswith("Finds ")


def test_a_model_that_is_not_there_is_told_with_those_that_are(plant: Plant) -> None:
    with Store.connect(plant.uri) as store:
        with pytest.raises(BadInput, match=r"Expected a model of room \(v1\)\. Received: v9\."):
            registered_subject(store, plant.config, version=9)
        with pytest.raises(
            BadInput, match=r"Expected an entity of room \(host-01, host-02\)\. Received: host-09\."
        ):
            registered_subject(store, plant.config, entity="host-09")
        with pytest.raises(
            BadInput, match=r"Expected a champion of room\. Received: none of 1 models\. Train one"
        ):
            registered_subject(store, plant.config, lineage="replay")


def test_readings_count_up_to_the_newest_or_up_to_what_was_asked_for(plant: Plant) -> None:
    with_fault(plant)
    with Store.connect(plant.uri) as store:
        subject = registered_subject(store, plant.config)
        assert evaluated_until(store, plant.config, subject, None) == END_AT
        asked = SPLIT_AT + timedelta(hours=3)
        assert evaluated_until(store, plant.config, subject, asked) == asked
        assert evaluated_until(store, plant.config, subject, START_AT) == SPLIT_AT


def test_the_parts_are_those_of_the_models_card() -> None:
    card = {
        "train_start_at": START_AT.isoformat(),
        "train_split_at": (START_AT + timedelta(days=4)).isoformat(),
        "train_end_at": (START_AT + timedelta(days=5)).isoformat(),
    }
    assert span_of_card(card).gate_at == START_AT + timedelta(days=4, hours=12)
