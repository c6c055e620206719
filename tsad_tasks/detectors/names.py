"""Where each detector is, by name: a plain table, since dataset files are checked whenever DAGs are
parsed.
"""

from __future__ import annotations

DETECTORS = {
    "attention_autoencoder": "tsad_tasks.detectors.neural.attention_autoencoder:AttentionAutoencoder",
    "bilstm_classifier": "tsad_tasks.detectors.neural.bilstm_classifier:BilstmClassifier",
    "dense_autoencoder": "tsad_tasks.detectors.neural.dense_autoencoder:DenseAutoencoder",
    "drift_aware": "tsad_tasks.detectors.folding.state_head:DriftAware",
    "ensemble": "tsad_tasks.detectors.ensemble:Ensemble",
    "event_head": "tsad_tasks.detectors.folding.event_head:EventHead",
    "forecaster": "tsad_tasks.detectors.neural.forecaster:Forecaster",
    "isolation_forest": "tsad_tasks.detectors.isolation_forest:IsolationForest",
    "level": "tsad_tasks.detectors.folding.surprise_detectors:LevelDetector",
    "lstm_autoencoder": "tsad_tasks.detectors.neural.lstm_autoencoder:LstmAutoencoder",
    "lstm_vae": "tsad_tasks.detectors.neural.lstm_vae:LstmVae",
    "masked_autoencoder": "tsad_tasks.detectors.neural.masked_autoencoder:MaskedAutoencoder",
    "novelty": "tsad_tasks.detectors.folding.surprise_detectors:NoveltyDetector",
    "range": "tsad_tasks.detectors.folding.surprise_detectors:RangeDetector",
    "seasonal_profile": "tsad_tasks.detectors.folding.surprise_detectors:SeasonalProfile",
    "state_head": "tsad_tasks.detectors.folding.state_head:StateHead",
    "three_sigma": "tsad_tasks.detectors.folding.surprise_detectors:ThreeSigma",
    "transformer_autoencoder": "tsad_tasks.detectors.neural.transformer_autoencoder:TransformerAutoencoder",
    "variance_change": "tsad_tasks.detectors.folding.surprise_detectors:VarianceChange",
}

# These carry a state from reading to reading; windows are of one step, and only they take a folding
# threshold.
FOLDING = frozenset(
    {
        "drift_aware",
        "event_head",
        "level",
        "novelty",
        "range",
        "seasonal_profile",
        "state_head",
        "three_sigma",
        "variance_change",
    }
)

# Parameters of these that count readings: a dataset file may give them as durations.
COUNTED = dict.fromkeys(FOLDING, ("n_commission",)) | {
    "drift_aware": ("n_commission", "memory"),
    "state_head": ("n_commission", "smooth", "memory", "delay", "longest", "recent", "relearn"),
}
