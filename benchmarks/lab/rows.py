"""What people and later runs see of a warehouse: two that lived through the same agree on it.

Left out is what tells of the moment or the attempt: revisions, ids, times of writing, latency.
"""

from __future__ import annotations

from collections import Counter

from lab.room import Room

SEEN = {
    "readings": """
        SELECT e.name, b.hour_at, b.values
        FROM tsad.reading_block b JOIN tsad.entity e USING (entity_id)""",
    "ingested hours": """
        SELECT hour_at, n_rows, n_readings, newest_at, issues FROM tsad.v_ingest""",
    "quality": "SELECT entity, channel, hour_at, verdict, n_steps, detail FROM tsad.v_quality",
    "scores": """
        SELECT e.name, s.hour_at, m.version, s.status, s.coverage, s.n_needed, s.n_seen, s.errors,
          s.thresholds, s.scores, s.reasons, s.channel_errors
        FROM tsad.score_block s JOIN tsad.entity e USING (entity_id)
        JOIN tsad.model m USING (model_id) WHERE s.superseded_at = 'infinity'""",
    "statuses": """
        SELECT s.entity, s.hour_at, s.lineage, s.status, s.coverage, s.n_needed, s.n_seen,
          s.provisional, m.version
        FROM tsad.v_status s LEFT JOIN tsad.model m USING (model_id)""",
    "anomalies": """
        SELECT entity, at, a.lineage, kind, severity, score, error, threshold, channel, share,
          actual, expected, unit, provisional, m.version
        FROM tsad.v_anomaly a JOIN tsad.model m USING (model_id)""",
    "attributions": """
        SELECT entity, at, channel, lineage, share, actual, expected, spread, step, step_share
        FROM tsad.v_attribution""",
    "incidents": """
        SELECT incident_id, entity, lineage, severity, kind, state, started_at, last_flag_at,
          n_flags, peak_score, peak_at, channel, sentence, provisional, suppressed_by, continues
        FROM tsad.v_incident""",
    "models": """
        SELECT version, entity, lineage, detector, train_start_at, train_end_at, gate_passed,
          valid_from, valid_to, champion, n_parameters, seed, state, shadow_from, shadow_to
        FROM tsad.v_model""",
    "decisions": """
        SELECT version, stage, rule, value, low, high, limit_value, champion_value, passed, outcome
        FROM tsad.v_model_decision WHERE rule <> 'latency_ms'""",
    "history": """
        SELECT lineage, version, decision, former_version, valid_from, decided_by
        FROM tsad.v_model_history""",
    "exclusions": """
        SELECT version, entity, start_at, end_at, reason, n_steps FROM tsad.v_exclusion""",
    "references": """
        SELECT entity, channel, lineage, median, spread, from_at, to_at FROM tsad.v_reference""",
    "drift": """
        SELECT entity, channel, lineage, version, week_at, psi, shift, missing_share, n_steps
        FROM tsad.v_drift""",
    "audit": """
        SELECT lineage, version, week_at, days, n_known, n_found, n_incidents, n_right, n_wrong
        FROM tsad.v_audit""",
    "alerts": """
        SELECT e.name, a.severity, a.state, a.start_at, a.end_at
        FROM tsad.alert a JOIN tsad.entity e USING (entity_id)""",
    "messages": """
        SELECT event, entity, medium, severity, started_at, version, state
        FROM tsad.v_notification""",
}
_DOUBLED = {
    "current scores of an hour": """
        SELECT entity_id, model_id, hour_at FROM tsad.score_block
        WHERE superseded_at = 'infinity' GROUP BY 1, 2, 3 HAVING count(*) > 1""",
    "statuses of an hour": """
        SELECT entity, lineage, hour_at FROM tsad.v_status GROUP BY 1, 2, 3 HAVING count(*) > 1""",
    "champions": """
        SELECT lineage, dataset_id, scope_entity_id FROM tsad.champion_period
        WHERE valid_to = 'infinity' GROUP BY 1, 2, 3 HAVING count(*) > 1""",
}

Rows = dict[str, Counter[str]]


def seen(room: Room, *without: str) -> Rows:
    """All rows as text, with every digit of each number, and how often each is there."""
    return {
        what: Counter(map(repr, room.rows(statement)))
        for what, statement in SEEN.items()
        if what not in without
    }


def differences(expected: Rows, found: Rows) -> list[str]:
    """What is missing or new, a line for each kind of row; nothing where all is the same."""
    said = []
    for what, rows in expected.items():
        missing, new = rows - found[what], found[what] - rows
        if missing or new:
            first = "; ".join(f"{row[:300]}" for row in [*missing, *new][:2])
            said.append(f"{what}: {missing.total()} missing, {new.total()} new: {first}")
    return said


def doubled(room: Room) -> list[str]:
    """What is there twice and must not be."""
    return [what for what, statement in _DOUBLED.items() if room.rows(statement)]
