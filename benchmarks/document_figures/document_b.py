"""Document B: an LSTM autoencoder on a noisy sine."""

from __future__ import annotations

from document_figures import sines
from document_figures.figures import Check, Document, Experiment, Figure, Table, Values


def _varies_by_part(values: Values) -> bool:
    """Whether the share lies within what parts of this length have, around the five percent."""
    low, high = values["b_sine.p95_parts_low"], values["b_sine.p95_parts_high"]
    return low < 0.05 < high and low <= values["b_sine.p95_false"] <= high


_EXPERIMENTS = (
    Experiment("b_sine", "reconstruction, noise floor, threshold trade-off", sines.sine),
)
_FIGURES = (
    Figure(
        "b_sine.mse",
        "Reconstruction MSE (held out, min-max scaled)",
        "0.015",
        0.015,
        "lower",
        0.0005,
        "{:.4f}",
    ),
    Figure(
        "b_sine.noise_floor",
        "Noise floor: MSE of who knows the sine but not the noise, same scale",
        "not given",
        better="shown",
        form="{:.4f}",
        why="The document gives neither its noise nor the scale of its error. Here the noise has σ "
        "0.1 at an amplitude "
        "of 1; our MSE is {mse:.4f} against this floor, and {mse_in_units:.4f} in units of the "
        "series.",
    ),
    Figure(
        "b_sine.mse_to_sine",
        "MSE of the reconstruction to the sine without noise",
        "not given",
        better="shown",
        form="{:.4f}",
        why="Against a noise floor of {noise_floor:.4f}: what lies below was removed as noise, not "
        "copied.",
    ),
    Figure(
        "b_sine.p95_false",
        "Clean windows flagged at the 95th percentile",
        "5 % by construction",
        0.05,
        "same",
        0.03,
        "{:.1%}",
        why="Neighbouring windows overlap, so that flags come in runs and their share varies from "
        "part to part: "
        "over 60 parts of this length, each judged by the 95th percentile of the one before, the "
        "middle one has "
        "{p95_parts_middle:.1%}, nine of ten have {p95_parts_low:.1%} to {p95_parts_high:.1%}.",
        evidence=_varies_by_part,
    ),
    Figure(
        "b_sine.tradeoff",
        "A high threshold misses subtle anomalies, a low one cries wolf",
        "claim",
        better="holds",
    ),
    Figure("b_sine.integer_times", "Integer time stamps", "int64", better="holds"),
)
_TABLES = (
    Table(
        "Threshold trade-off: percentile of held-out errors against what it finds",
        ("threshold", "clean windows flagged", "spikes of 0.3 found", "of 0.6", "of 1.2"),
        [
            (
                f"{percentile:g}th",
                [
                    f"b_sine.p{percentile:g}_{name}"
                    for name in ("threshold", "false", "subtle", "clear", "gross")
                ],
            )
            for percentile in sines.PERCENTILES
        ],
        "{:.4f}",
        "Spikes are single steps, three, six and twelve standard deviations of the noise high on "
        "average.",
    ),
)
_CHECKS = (
    Check("b_sine.tradeoff", 1, "a higher percentile finds less and cries less"),
    Check("b_sine.p95_gross", 0.5, "spikes of twelve sigma are found at the 95th percentile"),
)

DOCUMENT = Document(
    "B",
    "LSTM autoencoder on a noisy sine",
    "Made data: a sine of amplitude 1 and period 50 with normal noise of σ 0.1, integer times. The "
    "first 70 "
    "% train, the "
    "next 15 % set the threshold, the last 15 % are measured. Preset `document_b`.",
    _EXPERIMENTS,
    _FIGURES,
    _TABLES,
    _CHECKS,
)
