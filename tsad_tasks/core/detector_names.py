"""Where each detector is, by name: a plain table, since dataset files are checked whenever DAGs are parsed."""

from __future__ import annotations

DETECTORS = {
    "attention_autoencoder": "tsad_tasks.detectors.attention_autoencoder:AttentionAutoencoder",
    "bilstm_classifier": "tsad_tasks.detectors.bilstm_classifier:BilstmClassifier",
    "dense_autoencoder": "tsad_tasks.detectors.dense_autoencoder:DenseAutoencoder",
    "drift_aware": "tsad_tasks.detectors.state_head:DriftAware",
    "ensemble": "tsad_tasks.detectors.ensemble:Ensemble",
    "event_head": "tsad_tasks.detectors.event_head:EventHead",
    "forecaster": "tsad_tasks.detectors.forecaster:Forecaster",
    "isolation_forest": "tsad_tasks.detectors.isolation_forest:IsolationForest",
    "level": "tsad_tasks.detectors.surprise_detectors:LevelDetector",
    "lstm_autoencoder": "tsad_tasks.detectors.lstm_autoencoder:LstmAutoencoder",
    "lstm_vae": "tsad_tasks.detectors.lstm_vae:LstmVae",
    "masked_autoencoder": "tsad_tasks.detectors.masked_autoencoder:MaskedAutoencoder",
    "novelty": "tsad_tasks.detectors.surprise_detectors:NoveltyDetector",
    "range": "tsad_tasks.detectors.surprise_detectors:RangeDetector",
    "seasonal_profile": "tsad_tasks.detectors.surprise_detectors:SeasonalProfile",
    "state_head": "tsad_tasks.detectors.state_head:StateHead",
    "three_sigma": "tsad_tasks.detectors.surprise_detectors:ThreeSigma",
    "transformer_autoencoder": "tsad_tasks.detectors.transformer_autoencoder:TransformerAutoencoder",
    "variance_change": "tsad_tasks.detectors.surprise_detectors:VarianceChange",
}

# These carry a state from reading to reading; windows are of one step, and only they take a folding threshold.
FOLDING = frozenset({
    "drift_aware", "event_head", "level", "novelty", "range", "seasonal_profile", "state_head", "three_sigma",
    "variance_change",
})  # fmt: skip

# Parameters of these that count readings: a dataset file may give them as durations.
COUNTED = dict.fromkeys(FOLDING, ("n_commission",)) | {
    "drift_aware": ("n_commission", "memory"),
    "state_head": ("n_commission", "smooth", "memory", "delay", "longest", "recent", "relearn"),
}
