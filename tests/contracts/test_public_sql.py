"""What people's own queries may rely on: names and types, comments, and plans that touch only what
is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import numpy as np
import pytest

from devstack.postgres import Cluster
from tests.storage.rooms import (
    Room,
    anomaly_rows,
    attribution_rows,
    new_model,
    opened_room,
    score_rows,
)
from tsad_tasks.base.places import project_folder
from tsad_tasks.champions.records import insert_model, open_period
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.scores import write_scores

MONTHS = [datetime(2026, month, 5, 7, tzinfo=UTC) for month in (1, 2, 3)]

VIEWS = {
    "v_anomaly": """
        dataset text, entity text, at timestamptz, lineage text, kind text, severity text, score
        real, error real, threshold real, channel text, share real, actual float8, expected
        float8, unit text, provisional boolean, model_id integer, revision integer, known_from
        timestamptz, unknown_weekday text, outside_experience text""",
    "v_attribution": """
        dataset text, entity text, at timestamptz, channel text, unit text, share real, actual
        float8, expected float8, spread float8, model_id integer, step integer, step_share real,
        lineage text""",
    "v_attribution_step": """
        dataset text, entity text, at timestamptz, channel text, unit text, step integer,
        step_at timestamptz, share real, model_id integer, lineage text""",
    "v_audit": """
        dataset text, lineage text, version integer, model_id integer, week_at timestamptz, days
        float8, n_known integer, n_found integer, recall float8, n_incidents integer, n_right
        integer, n_wrong integer, precision float8, median_delay_s float8, false_alarms_per_day
        float8, incidents_per_day float8, expected_incidents_per_day float8, audited_at
        timestamptz""",
    "v_drift": """
        dataset text, entity text, channel text, lineage text, version integer, model_id
        integer, week_at timestamptz, psi float8, drift text, shift float8, missing_share
        float8, n_steps bigint, measured_at timestamptz""",
    "v_entity": """
        dataset text, entity text, state text, first_seen_at timestamptz, last_seen_at
        timestamptz, silent_since timestamptz, usual_silence interval, retired_at timestamptz,
        retired_by text, retired_why text, carrier text, has_habit boolean, known_until
        timestamptz, is_quiet boolean, silent_from timestamptz""",
    "v_exclusion": """
        dataset text, version integer, model_id integer, entity text, start_at timestamptz,
        end_at timestamptz, reason text, n_steps bigint, channel text""",
    "v_channel_epoch": """
        dataset text, epoch_id bigint, entity text, channel text, kind text, from_at
        timestamptz, declared boolean, scale float8, offset float8, usable_at timestamptz,
        n_running_hours float8, needed_hours float8, reason text, said_by text, said_at
        timestamptz, withdrawn_at timestamptz, login text, withdrawn_login text""",
    "v_health": """
        dataset text, state text, scored_until timestamptz, late_s bigint, why text, last_run_at
        timestamptz, read_until timestamptz, newest_reading_at timestamptz, n_live bigint, n_silent
        bigint, n_retired bigint, champion text, champion_trained_until timestamptz, champion_age
        interval, last_error text, last_error_at timestamptz, n_missed bigint, scoring_state
        text""",
    "v_incident": """
        incident_id text, dataset text, entity text, lineage text, severity text, kind text,
        state text, started_at timestamptz, last_flag_at timestamptz, n_flags integer,
        peak_score real, peak_at timestamptz, channel text, sentence text, provisional boolean,
        policy_version text, model_id integer, updated_at timestamptz, verdict text,
        suppressed_by text, continues text, unknown_weekdays text, held boolean,
        outside_experience text, direction text, group_id text, priority integer, end_at
        timestamptz""",
    "v_incident_chain": """
        incident_id text, dataset text, entity text, lineage text, severity text, kind text,
        state text, started_at timestamptz, last_flag_at timestamptz, n_parts integer, n_flags
        integer, peak_score real, peak_at timestamptz, channel text, sentence text, direction
        text, verdict text, suppressed_by text, held boolean, group_id text, last_incident_id
        text, model_id integer, taken_by text, snoozed_until timestamptz, priority integer,
        end_at timestamptz""",
    "v_incident_group": """
        group_id text, dataset text, lineage text, headline text, severity text, state text,
        started_at timestamptz, last_flag_at timestamptz, n_entities integer, n_all_entities
        integer, n_incidents integer, end_at timestamptz, priority integer""",
    "v_ingest": """
        dataset text, hour_at timestamptz, n_rows bigint, n_readings bigint, newest_at
        timestamptz, lag_s float8, read_until timestamptz, read_at timestamptz, issues jsonb,
        places jsonb, sources jsonb""",
    "v_label": """
        dataset text, entity text, start_at timestamptz, end_at timestamptz, kind text, origin
        text, note text, label_id integer, withdrawn_at timestamptz, withdrawn_by text,
        login text, withdrawn_login text""",
    "v_maintenance": """
        dataset text, window_id bigint, entity text, start_at timestamptz, end_at timestamptz,
        rrule text, zone text, margin_before_s integer, margin_after_s integer, title text,
        created_by text, created_at timestamptz, withdrawn_at timestamptz, login text,
        withdrawn_login text""",
    "v_model": """
        dataset text, model_id integer, version integer, entity text, lineage text, detector
        text, train_start_at timestamptz, train_end_at timestamptz, gate_passed boolean,
        valid_from timestamptz, valid_to timestamptz, champion boolean, n_parameters integer,
        seed integer, parent_model_id integer, config_hash text, sha256 text, artifact_uri text,
        card jsonb, created_at timestamptz, state text, shadow_from timestamptz, shadow_to
        timestamptz, pruned_at timestamptz, pruned_because text, young boolean, unknown_weekdays
        text, weekdays_seen integer[]""",
    "v_model_decision": """
        dataset text, version integer, model_id integer, rule text, value float8, limit_value
        float8, champion_value float8, passed boolean, note text, decided_at timestamptz, stage
        text, low float8, high float8, outcome text, n bigint, n_found bigint, decides boolean""",
    "v_fitted_channel": """
        dataset text, entity text, channel text, fitted boolean, first_hour_at timestamptz""",
    "v_series": """
        dataset text, source text, series text, entity text, channel text, valid_from
        timestamptz, valid_to timestamptz""",
    "v_model_history": """
        dataset text, entity text, lineage text, version integer, model_id integer, decision
        text, former_version integer, valid_from timestamptz, decided_by text, reason text,
        decided_at timestamptz""",
    "v_notification": """
        dataset text, notification_id bigint, entity text, event text, severity text,
        alert_state text, started_at timestamptz, incident_id text, medium text, connection
        text, address text, state text, attempts integer, next_attempt_at timestamptz,
        last_error text, created_at timestamptz, delivered_at timestamptz, failed_at
        timestamptz, payload jsonb, key text, version integer, held_until timestamptz,
        bundled_into bigint""",
    "v_outside_experience": """
        dataset text, entity text, channel text, unit text, lineage text, started_at
        timestamptz, ended_at timestamptz, n_hours integer""",
    "v_quality": """
        dataset text, entity text, channel text, hour_at timestamptz, verdict text, n_steps
        integer, detail text""",
    "v_reference": """
        dataset text, entity text, channel text, unit text, lineage text, median float8, spread
        float8, from_at timestamptz, to_at timestamptz, model_id integer, verdict_id bigint,
        recorded_at timestamptz, replaced_at timestamptz""",
    "v_shadow": """
        dataset text, entity text, hour_at timestamptz, lineage text, challenger_version
        integer, champion_version integer, challenger_status text, champion_status text,
        n_paired integer, n_agreed integer, n_challenger_flags integer, n_champion_flags integer""",
    "v_status": """
        dataset text, entity text, hour_at timestamptz, lineage text, status text, coverage
        real, n_needed integer, n_seen integer, provisional boolean, model_id integer, revision
        integer, detail text, scored_at timestamptz, unknown_weekday text,
        outside_experience text""",
    "v_training_decision": """
        dataset text, decision_id bigint, lineage text, start_at timestamptz, end_at
        timestamptz, decision text, decided_by text, reason text, n_readings bigint, n_entities
        integer, excluded_share float8, missing_share float8, left_out jsonb, jumps jsonb, pdf
        text, decided_at timestamptz""",
    "v_triage": """
        dataset text, entity text, incident_id text, start_at timestamptz, end_at timestamptz,
        taken_by text, snoozed_until timestamptz, said_by text, said_at timestamptz,
        triage_id bigint, login text""",
    "v_verdict": """
        dataset text, entity text, channel text, start_at timestamptz, end_at timestamptz,
        verdict text, said_by text, note text, said_at timestamptz, withdrawn_at timestamptz,
        incident_id text, verdict_id bigint, login text, withdrawn_login text""",
}
SCORES = """
    TABLE(at timestamptz, error real, threshold real, score real, flag boolean, reason text,
    status text, model_id integer, revision integer)"""
RANGE = "dataset text, entity text, from_at timestamptz, to_at timestamptz"
FUNCTIONS = {
    "compare_lineages": (
        "dataset text, lineage text, other text, from_at timestamptz, to_at timestamptz",
        """TABLE(entity text, hour_at timestamptz, version integer, other_version integer,
        n_paired integer, n_agreed integer, n_flags integer, n_other_flags integer)""",
    ),
    "step_agreement": (
        "scores real[], other_scores real[]",
        "TABLE(n_paired integer, n_agreed integer, n_flags integer, n_other_flags integer)",
    ),
    "weekdays_text": ("seen integer[]", "text"),
    "readings": (RANGE, "TABLE(at timestamptz, channel text, value float8)"),
    "scores": (f"{RANGE}, lineage text DEFAULT 'live'", SCORES),
    "scores_as_known_at": (f"known_at timestamptz, {RANGE}, lineage text DEFAULT 'live'", SCORES),
    "set_verdict": (
        "incident_id text, verdict text, said_by text DEFAULT NULL::text, note text DEFAULT "
        "''::text, "
        "channel text DEFAULT NULL::text",
        "bigint",
    ),
    "add_verdict": (
        "dataset text, entity text, start_at timestamptz, end_at timestamptz, verdict text, "
        "said_by text DEFAULT NULL::text, note text DEFAULT ''::text, channel text DEFAULT "
        "NULL::text, "
        "incident_id text DEFAULT NULL::text",
        "bigint",
    ),
    "set_triage": (
        "incident_id text, taken_by text DEFAULT NULL::text, snoozed_until timestamptz DEFAULT "
        "NULL::timestamptz, said_by text DEFAULT NULL::text",
        "bigint",
    ),
    "withdraw_verdict": ("incident_id text", "bigint"),
    "add_label": (
        "dataset text, entity text, start_at timestamptz, end_at timestamptz, kind text DEFAULT "
        "'anomaly'::text, "
        "note text DEFAULT ''::text, origin text DEFAULT 'person'::text",
        "integer",
    ),
    "withdraw_label": ("label_id integer, withdrawn_by text DEFAULT NULL::text", "integer"),
    "add_maintenance": (
        "dataset text, start_at timestamptz, end_at timestamptz, title text, entity text DEFAULT "
        "NULL::text, "
        "rrule text DEFAULT NULL::text, zone text DEFAULT NULL::text, margin_before_s integer "
        "DEFAULT 0, "
        "margin_after_s integer DEFAULT 0, created_by text DEFAULT NULL::text",
        "bigint",
    ),
    "withdraw_maintenance": ("window_id bigint", "bigint"),
    "set_channel_epoch": (
        "dataset text, entity text, channel text, from_at timestamptz, kind text, reason text, "
        'scale float8 DEFAULT NULL::float8, "offset" float8 DEFAULT NULL::float8, said_by text '
        "DEFAULT NULL::text",
        "bigint",
    ),
    "withdraw_channel_epoch": ("epoch_id bigint", "bigint"),
    "retire_entity": (
        "dataset text, entity text, why text, from_at timestamptz DEFAULT NULL::timestamptz, "
        "said_by text DEFAULT NULL::text",
        "bigint",
    ),
    "unretire_entity": (
        "dataset text, entity text, why text, said_by text DEFAULT NULL::text",
        "bigint",
    ),
}


@pytest.fixture(scope="module")
def room(cluster: Cluster, template_database: str) -> Iterator[Room]:
    """Two entities with readings in three months, and the scores of one of them."""
    name = f"public_{uuid4().hex}"
    with opened_room(cluster.create_database(name, template=template_database)) as opened:
        for hour_at in MONTHS:
            opened.write(hour_at, [[1, 2], [3, 4]])
            opened.write(hour_at, [[5, 6], [7, 8]], entity=1)
        _score(opened)
        yield opened
    cluster.drop_database(name)


def _score(room: Room) -> None:
    model = new_model(room)
    with room.store.transaction():
        model_id = insert_model(room.store, model).model_id
        open_period(room.store, model.scope, model_id, valid_from=MONTHS[0], reason="first")
        for hour_at in MONTHS:
            hours_s = np.array([int(hour_at.timestamp())])
            rows = score_rows(room, model_id, [0.5, np.nan], hours_s=hours_s)
            write_scores(room.store, rows, anomaly_rows(room), attribution_rows(room))


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("( ", "(").strip()


def _short(text: str) -> str:
    text = text.replace("timestamp with time zone", "timestamptz").replace(
        "double precision", "float8"
    )
    return text.replace("'live'::text", "'live'")


def test_the_public_views_have_these_columns_in_this_order(room: Room) -> None:
    rows = room.rows(
        "SELECT c.relname::text, "
        "string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY "
        "attnum) "
        "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 "
        "WHERE c.relnamespace = 'tsad'::regnamespace AND c.relkind = 'v' AND c.relname LIKE "
        "'v\\_%' GROUP BY 1"
    )
    assert {view: _short(columns) for view, columns in rows} == {
        view: _plain(text) for view, text in VIEWS.items()
    }


def test_the_public_functions_take_and_give_this(room: Room) -> None:
    rows = room.rows(
        "SELECT proname::text, pg_get_function_arguments(oid), pg_get_function_result(oid) FROM "
        "pg_proc "
        "WHERE pronamespace = 'tsad'::regnamespace AND has_function_privilege('tsad_reader', oid, "
        "'EXECUTE')"
    )
    found = {name: (_short(arguments), _short(result)) for name, arguments, result in rows}
    assert found == {
        name: (_plain(arguments), _plain(result)) for name, (arguments, result) in FUNCTIONS.items()
    }


def test_the_datasets_own_view_has_a_column_for_each_channel(room: Room) -> None:
    rows = room.rows(
        "SELECT * FROM tsad.readings_room WHERE hour_at = %s AND entity = 'b' ORDER BY at",
        MONTHS[2],
    )
    half = MONTHS[2].replace(minute=30)
    assert rows == [("b", MONTHS[2], MONTHS[2], 5.0, 6.0), ("b", MONTHS[2], half, 7.0, 8.0)]


def test_every_table_view_and_function_has_a_comment(room: Room) -> None:
    rows = room.rows(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'tsad'::regnamespace AND relkind "
        "IN ('r', 'p', 'v') "
        "AND NOT relispartition AND obj_description(oid, 'pg_class') IS NULL UNION ALL "
        "SELECT proname::text FROM pg_proc WHERE pronamespace = 'tsad'::regnamespace "
        "AND obj_description(oid, 'pg_proc') IS NULL"
    )
    assert rows == []


def test_every_column_of_a_public_view_has_a_comment(room: Room) -> None:
    rows = room.rows(
        "SELECT c.relname::text, a.attname::text "
        "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 "
        "WHERE c.relnamespace = 'tsad'::regnamespace AND c.relkind = 'v' AND c.relname LIKE "
        "'v\\_%' "
        "AND col_description(c.oid, a.attnum) IS NULL"
    )
    assert rows == []


def test_the_datasets_own_view_tells_the_units(room: Room) -> None:
    assert room.rows("SELECT col_description('tsad.readings_room'::regclass, 4)") == [("Unit: %",)]


def _plan(room: Room, statement: str) -> str:
    """Plans of a statement and of the functions that it calls, as they ran, without sequential
    scans where possible.
    """
    connection = connect(room.uri)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "LOAD 'auto_explain'; SET enable_seqscan = off; SET client_min_messages = log; "
                "SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on; "
                "SET auto_explain.log_nested_statements = on"
            )
            connection.notices.clear()
            cursor.execute(statement)
            assert cursor.fetchall()
            return "\n".join(connection.notices)
    finally:
        connection.close()


def _scanned(plan: str, table: str) -> set[str]:
    """How and where a partitioned table was read: the index conditions of the partitions that
    were.
    """
    lines = plan.splitlines()
    found = [
        i for i, line in enumerate(lines) if re.search(rf"Scan.* on {table}_\d{{4}}_\d\d", line)
    ]
    read = [i for i in found if "never executed" not in lines[i]]
    return {re.sub(r".*(Index|Bitmap|Seq).* on (\S+).*", r"\1 \2", lines[i]) for i in read}


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        (
            "reading_block",
            "SELECT * FROM tsad.readings_room WHERE hour_at >= '2026-02-01Z' AND hour_at < "
            "'2026-03-01Z'",
        ),
        (
            "reading_block",
            "SELECT * FROM tsad.readings('room', 'a', '2026-02-05 07:00Z', '2026-02-05 08:00Z')",
        ),
        (
            "score_block",
            "SELECT * FROM tsad.scores('room', 'a', '2026-02-05 07:00Z', '2026-02-05 08:00Z')",
        ),
        (
            "score_block",
            "SELECT * FROM tsad.scores_as_known_at(now(), 'room', 'a', '2026-02-05 07:00Z', "
            "'2026-02-05 08:00Z')",
        ),
        (
            "score_block",
            "SELECT * FROM tsad.v_status WHERE hour_at >= '2026-02-05Z' AND hour_at < "
            "'2026-02-06Z'",
        ),
    ],
)
def test_a_range_touches_its_month_only_and_by_an_index(
    room: Room, table: str, statement: str
) -> None:
    assert _scanned(_plan(room, statement), table) == {f"Index {table}_2026_02"}


def test_no_statement_needs_more_than_postgres_15() -> None:
    sources = sorted((project_folder() / "sql").rglob("*.sql"))
    assert len(sources) > 60
    code = "\n".join(
        re.sub(r"--.*|'[^']*'", "", path.read_text(encoding="utf-8")) for path in sources
    )
    newer = (
        r"any_value|random_normal|json_(table|query|exists|value|scalar|serialize)|is json|uuidv7|"
        r"system_user|array_shuffle|array_sample|array_sort|array_reverse|date_add|date_subtract|"
        r"generic_plan|\bvirtual\b|without overlaps|merge into|"
        r"to_bin|to_oct|pg_input_is_valid|erfc?\(|at local|on_error|0x[0-9a-f]+|\d_\d"
    )
    assert re.findall(newer, code, re.IGNORECASE) == []
