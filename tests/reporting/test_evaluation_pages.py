"""Evaluations and explorations say what they found, by what they judged, and what is not known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.reporting.evaluation_sample import evaluation, exploration, part, preview
from tests.reporting.pdf_text import ascii_text, n_pages
from tsad_tasks.reporting.evaluation.content import EvaluationContent, headline_text
from tsad_tasks.reporting.evaluation.pages import evaluation_bytes
from tsad_tasks.reporting.exploration.channel_pages import overview_text
from tsad_tasks.reporting.exploration.content import ExplorationContent
from tsad_tasks.reporting.exploration.pages import exploration_bytes
from tsad_tasks.reporting.exploration.preview_pages import preview_text
from tsad_tasks.reporting.exploration.shape_pages import period_text_of


def shown(content: EvaluationContent | ExplorationContent) -> str:
    write = evaluation_bytes if isinstance(content, EvaluationContent) else exploration_bytes
    document, n_planned = write(content, compressed=False)  # type: ignore[arg-type]
    assert n_pages(document) == n_planned
    return ascii_text(document)


def test_an_evaluation_leads_with_its_finding_and_shows_every_section() -> None:
    text = shown(evaluation())
    assert "Finds all 6 labelled anomalies in the test readings" in text
    for title in (
        "Ranked by score, anomalies come first",
        "Of the flagged steps",
        "lie above the threshold",
        "What the model saw: 1 find",
        "Stated probabilities are off by",
        "Validation loss was lowest at epoch 2 of 3",
        "of the training range is left out",
        "What another threshold would have done",
        "point-adjusted",
    ):
        assert title in text


def test_injected_evidence_is_never_taken_for_labels() -> None:
    text = shown(evaluation(evidence="injected"))
    assert (
        "Judged by injected anomalies, because no reading after the training part is labelled"
        in text
    )
    assert "labelled anomalies in the test" not in text
    assert "Judged by the dataset's own labels" in shown(evaluation())


def test_the_headline_is_that_of_the_latest_part_with_events() -> None:
    parts = (
        part("training"),
        part("validation"),
        part("test", n_events=0),
        part("later", n_events=3),
    )
    assert "3 labelled anomalies in the later readings" in headline_text(evaluation(parts=parts))
    none = evaluation(parts=(part("test", n_events=0),))
    assert headline_text(none).startswith("No labelled anomaly could be judged; no false alarm in ")


def test_no_false_alarm_is_not_said_beside_many_flagged_steps() -> None:
    quiet = part("test")
    steps = replace(quiet.figures.steps, false_positive=21, true_negative=79)
    events = replace(quiet.figures.events, n_false=0)
    noisy = replace(quiet, figures=replace(quiet.figures, steps=steps, events=events))
    text = headline_text(evaluation(parts=(noisy,), max_flagged_share=0.01))
    assert "no false alarm" not in text
    assert "21.0 % of the normal steps flagged (gate: 1.0 % at most)" in text
    assert "no false alarm in" in headline_text(evaluation(parts=(noisy,), max_flagged_share=0.3))


def test_what_cannot_be_judged_is_drawn_without_a_figure() -> None:
    content = evaluation(
        parts=(part("test", n_events=0),),
        examples=(),
        reliability=None,
        preview=None,
        model=replace(evaluation().model, loss=(), validation_loss=()),
    )
    text = shown(content)
    assert "Ranked by score" not in text
    assert "Validation loss" not in text
    assert "0 of 0" in text


def test_a_loss_below_zero_is_drawn_without_logarithms() -> None:
    model = replace(evaluation().model, loss=(0.5, -1.0), validation_loss=(0.4, -0.8))
    text = shown(evaluation(model=model))
    assert "loss, logarithmic" not in text
    assert "Validation loss was lowest at epoch 2 of 2" in text


def test_four_parts_and_many_digits_fit() -> None:
    parts = tuple(part(name) for name in ("training", "validation", "test", "later"))
    assert "Later" in shown(evaluation(parts=parts))


def test_the_same_content_gives_the_same_bytes() -> None:
    assert evaluation_bytes(evaluation()) == evaluation_bytes(evaluation())
    assert exploration_bytes(exploration()) == exploration_bytes(exploration())


def test_an_exploration_shows_gaps_labels_correlations_and_periods() -> None:
    text = shown(exploration())
    for words in (
        "93.1 % of the readings are there",
        "1 known anomaly",
        "bearing wear",
        "Missing readings by channel",
        "speed and current move together (1.00)",
        "Every channel repeats after 24 h",
    ):
        assert words in text


def test_a_preview_comes_first_and_names_what_is_left_out() -> None:
    text = shown(exploration(preview=preview()))
    assert text.index("is left out") < text.index("of the readings are there")
    assert "label: leak" in text
    assert "40 of 48 h" in text
    assert preview_text(preview()).endswith("and 2 extreme readings stay in.")


def test_an_exploration_of_one_channel_without_labels_or_scores_is_drawn() -> None:
    content = exploration()
    lone = replace(
        content,
        channels=content.channels[:1],
        correlations=np.ones((1, 1)),
        missing=content.missing[:1],
        labels=(),
        n_anomalies=None,
        series=(),
        from_source=True,
    )
    text = shown(lone)
    assert "straight from the source table" in text
    assert "No known anomaly" in text
    assert "move together" not in text


@pytest.mark.parametrize(
    ("period_s", "expected"), [(None, "No channel repeats itself"), (3600.0, "Every channel")]
)
def test_periods_are_put_into_words(period_s: float | None, expected: str) -> None:
    views = [replace(view, period_s=period_s) for view in exploration().channels]
    assert period_text_of(views).startswith(expected)


def test_a_silent_and_a_flat_channel_are_named() -> None:
    content = exploration()
    nothing = replace(content.channels[0].summary, n_known=0)
    flat = replace(content.channels[1].summary, low=2.0, high=2.0)
    views = tuple(
        replace(view, summary=one)
        for view, one in zip(content.channels, (nothing, flat), strict=True)
    )
    assert "current never changes and speed has no readings." in overview_text(
        replace(content, channels=views)
    )
