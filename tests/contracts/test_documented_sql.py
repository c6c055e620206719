"""The guides' queries and words hold: each query runs for a reader and finds something, those of
Grafana's dashboard too, each word is defined once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest

from devstack.postgres import BROWSER, ON_CALL, Cluster
from tests.contracts import grafana
from tests.statements import run
from tests.storage import rooms
from tests.storage.rooms import (
    Room,
    anomaly_rows,
    attribution_rows,
    new_model,
    opened_room,
    room_config,
    score_rows,
)
from tsad_tasks.base.enums import Outcome
from tsad_tasks.base.interval import HOUR
from tsad_tasks.base.places import project_folder
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.champions.queries import INSERT_EXCLUSIONS, write_rule_results
from tsad_tasks.champions.records import insert_model, open_period
from tsad_tasks.ingest.queries import (
    INSERT_INGEST_ISSUES,
    INSERT_QUALITY,
    UPSERT_INGEST_HOURS,
    IngestHour,
    IngestIssue,
    SensorVerdict,
)
from tsad_tasks.monitoring.audit import WEEK, week_before
from tsad_tasks.monitoring.queries import UPSERT_AUDIT, UPSERT_DRIFT, DriftRow
from tsad_tasks.scoring.queries import UPSERT_INCIDENTS, IncidentRow
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.scores import write_scores, write_unscored_hours
from tsad_tasks.storage.store import columns
from tsad_tasks.training.queries import Exclusion

# An hour that `make demo` scores.
AT = datetime(2026, 10, 14, 5, tzinfo=UTC)
DOCS = project_folder() / "docs"
GUIDE = DOCS.joinpath("sql.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^([^\n]+):\n\n```sql\n([^;]+);\n```", GUIDE, re.MULTILINE)
WORDS = re.findall(
    r"\w+",
    "dataset entity channel reading feature window history detector error score threshold flag "
    "anomaly incident label "
    "verdict interval champion challenger shadow gate promote drift",
)


@pytest.fixture(scope="module")
def reader_uri(cluster: Cluster, template_database: str) -> Iterator[str]:
    """A server room in which everything that the guide asks for has happened, as a reader may see
    it.
    """
    name = f"documented_{uuid4().hex}"
    config = room_config("cpu", "temperature", dataset="server_room")
    with (
        opened_room(
            cluster.create_database(name, template=template_database), config, ("host-01",)
        ) as room,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setattr(rooms, "HOUR_S", int(AT.timestamp()))
        room.write(AT, [[1, 20], [2, 50]])
        model_id = _decide(room)
        _score(room, model_id)
        _judge(room)
        _watch(room, model_id)
        room.rows(
            "INSERT INTO tsad.commissioning_reference (lineage, entity_id, channel_id, median, "
            "spread, from_at, to_at, model_id) SELECT 'live', entity_id, channel_id, 1, 1, %s, %s, "
            "model_id FROM tsad.entity, tsad.channel, tsad.model LIMIT 1",
            AT - HOUR,
            AT,
        )
        room.rows(
            "INSERT INTO tsad.incident_group (group_id, dataset_id, lineage, started_at, "
            "n_entities, n_all_entities, headline) SELECT 'together', dataset_id, 'live', %s, "
            "3, 4, 'It got hot in 3 of 4.' FROM tsad.dataset",
            AT + timedelta(minutes=30),
        )
        room.rows("UPDATE tsad.incident SET group_id = 'together'")
        room.rows("UPDATE tsad.score_block SET scored_at = scored_at - interval '2 hours'")
        room.rows("UPDATE tsad.champion_record SET recorded_at = recorded_at - interval '2 hours'")
    yield cluster.uri(name, BROWSER)
    cluster.drop_database(name)


def _decide(room: Room) -> int:
    """Id of a champion that passed its gate."""
    store, model = room.store, new_model(room)
    with store.transaction():
        model_id = insert_model(store, model).model_id
        write_rule_results(store, model_id, [RuleResult("loss_finite", Outcome.MET, 1.0)])
        hour_before = AT - HOUR
        store.execute(
            INSERT_EXCLUSIONS,
            model_id=model_id,
            **columns([Exclusion(room.entity_ids[0], hour_before, AT, "label", 2)], Exclusion),
        )
        open_period(store, model.scope, model_id, valid_from=AT, reason="first")
    return model_id


def _score(room: Room, model_id: int) -> None:
    store, entity_id, peak_at = room.store, room.entity_ids[0], AT + timedelta(minutes=30)
    with store.transaction():
        rows = score_rows(room, model_id, [np.nan, 2.0])
        write_scores(store, rows, anomaly_rows(room, 1), attribution_rows(room, 1))
        write_unscored_hours(
            store, "live", [entity_id], [AT + HOUR], ["failed"], "the bundle was altered"
        )
        times = {"started_at": peak_at, "last_flag_at": peak_at, "peak_at": peak_at}
        incident = IncidentRow(
            "c0ffee",
            entity_id,
            model_id,
            n_flags=1,
            kind="point",
            severity="HIGH",
            peak_score=2.0,
            top_channel_id=room.layout.channel_ids[1],
            sentence="It got hot.",
            provisional=False,
            **times,
        )
        store.execute(
            UPSERT_INCIDENTS,
            lineage="live",
            policy_version="policy",
            **columns([incident], IncidentRow),
        )


def _judge(room: Room) -> None:
    store, hour = room.store, AT
    with store.transaction():
        verdict = SensorVerdict(
            room.entity_ids[0], hour, room.layout.channel_ids[0], "stuck", 2, "at 1 %"
        )
        store.execute(INSERT_QUALITY, **columns([verdict], SensorVerdict))
        store.execute(
            UPSERT_INGEST_HOURS,
            digest="",
            said="{}",
            dataset_id=room.dataset_id,
            **columns([IngestHour(hour, hour + HOUR, hour + HOUR, 3, 2, hour, 60.0)], IngestHour),
        )
        issue = IngestIssue(hour, "", "", "duplicate", 1)
        store.execute(
            INSERT_INGEST_ISSUES, dataset_id=room.dataset_id, **columns([issue], IngestIssue)
        )


def _watch(room: Room, model_id: int) -> None:
    store, entity_id, week_at = room.store, room.entity_ids[0], week_before(AT) + WEEK
    drift = DriftRow(model_id, entity_id, room.layout.channel_ids[1], 0.4, 2.0, 0.0, 2)
    with store.transaction():
        store.execute(UPSERT_DRIFT, lineage="live", week_at=week_at, **columns([drift], DriftRow))
        store.execute(
            UPSERT_AUDIT,
            dataset_id=room.dataset_id,
            lineage="live",
            start_at=week_at,
            end_at=week_at + WEEK,
        )


@pytest.mark.parametrize(
    "statement", [query for _, query in QUERIES], ids=[title for title, _ in QUERIES]
)
def test_a_reader_may_run_every_query_of_the_guide_and_each_finds_something(
    reader_uri: str, statement: str
) -> None:
    connection = connect(reader_uri)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            assert cursor.fetchall()
    finally:
        connection.close()


DASHBOARD = DOCS / "grafana" / "tsad.json"
PANELS = dict(grafana.queries(DASHBOARD))
EPOCH, PEAK_AT = AT.timestamp(), AT + timedelta(minutes=30)
END_AT = PEAK_AT + timedelta(minutes=30)
# What is in the room, as each panel says it; of these only the first columns are compared.
SHOWN = {
    "Is it scored in time?": [("server_room",)],
    "Open incidents": [("HIGH", "host-01", "It got hot.", PEAK_AT, END_AT, 1, None, False)],
    "Incidents by severity": [(EPOCH, 1, 0, 0)],
    "Began together": [(PEAK_AT, "HIGH", "open", "It got hot in 3 of 4.", 1, END_AT)],
    # A step that has no score is unknown, not 0.
    "$entity: how many times its threshold": [(EPOCH, None), (EPOCH + 1800, 3.0)],
    "Coverage: machine-hours by what became of them": [
        (EPOCH, "scored", 1),
        (EPOCH + 3600, "failed", 1),
    ],
    "Hours that nobody watched": [
        ("host-01", "failed", 1, AT + HOUR, AT + HOUR, "the bundle was altered")
    ],
    "Model versions": [(1, None, "champion", "lstm_autoencoder")],
    "variable dataset": [("server_room",)],
    "variable entity": [("host-01",)],
}


@pytest.mark.parametrize("title", PANELS)
def test_a_reader_may_plan_and_run_every_query_of_the_dashboard(
    reader_uri: str, title: str
) -> None:
    sql = grafana.sent(
        PANELS[title], AT - HOUR, AT + 2 * HOUR, dataset="server_room", entity="host-01"
    )
    assert "$" not in sql
    assert run(reader_uri, f"EXPLAIN {sql}")
    rows = run(reader_uri, sql)
    expected = SHOWN[title]
    assert [row[: len(one)] for row, one in zip(rows, expected, strict=True)] == expected


def test_the_dashboard_asks_for_nothing_of_another_dataset(reader_uri: str) -> None:
    for title, query in PANELS.items():
        sql = grafana.sent(query, AT - HOUR, AT + 2 * HOUR, dataset="o'clock", entity="it's")
        asks_of_one = "${dataset}" in query
        assert not (asks_of_one and run(reader_uri, sql)), title
    assert [title for title in PANELS if "${dataset}" not in PANELS[title]] == [
        "Is it scored in time?",
        "variable dataset",
    ]


def test_no_view_gives_a_time_that_a_driver_cannot_read(reader_uri: str) -> None:
    times = run(
        reader_uri,
        "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE "
        "table_schema = 'tsad' AND table_name LIKE 'v\\_%' AND data_type LIKE 'timestamp%'",
    )
    assert len(times) > 50
    assert run(reader_uri, "SELECT valid_to, champion FROM tsad.v_model") == [(None, True)]
    assert run(reader_uri, "SELECT replaced_at FROM tsad.v_reference") == [(None,)]
    for view, column in times:
        endless = f"SELECT count(*) FROM tsad.{view} WHERE NOT isfinite({column})"  # noqa: S608
        assert run(reader_uri, endless) == [(0,)], (view, column)


# What the pages name, and what the room of this test has in its place.
IN_THE_ROOM = {
    **dict.fromkeys(("INC-924a5cc675", "INC-0"), "c0ffee"),
    **dict.fromkeys(("pump_07", "host-02"), "host-01"),
    "'pumps'": "'server_room'",
}


def _statements_of(page: str) -> list[str]:
    """What stands in blocks of SQL, and behind a SELECT within a sentence, in its order."""
    found = re.findall(r"```sql\n(.*?)```|`(SELECT [^`]+)`", page, re.DOTALL)
    statements = [one.strip() for pair in found for one in "".join(pair).split(";\n")]
    return [one.format(dataset="server_room") for one in statements if one]


PAGES = {
    str(path.relative_to(DOCS.parent)): statements
    for path in (
        *(DOCS.parent / name for name in ("README.md", "dags/tsad_dags.py")),
        *sorted(DOCS.rglob("*.md")),
    )
    if path.name != "sql.md" and (statements := _statements_of(path.read_text(encoding="utf-8")))
}


@pytest.mark.parametrize("page", PAGES)
def test_an_operator_may_run_every_statement_of_a_page(
    cluster: Cluster, reader_uri: str, page: str
) -> None:
    uri = cluster.uri(reader_uri.rsplit("/", 1)[1], ON_CALL)
    for statement in PAGES[page]:
        for name, ours in IN_THE_ROOM.items():
            statement = statement.replace(name, ours)
        rows = run(uri, statement)
        # A guide's own statements lead from one to the next; others may ask for what is not there.
        is_asked_of_today = "now()" in statement or "v_notification" in statement
        assert rows or "guides" not in page or is_asked_of_today, statement


def test_the_statements_of_guides_are_found() -> None:
    found = {page: len(statements) for page, statements in PAGES.items()}
    assert found["docs/guides/what_people_say.md"] == 7
    assert found["docs/guides/changed_sensors.md"] == 3
    assert {"README.md", "dags/tsad_dags.py", "docs/guides/notifications.md"} <= set(found)


def test_the_guide_has_fourteen_queries() -> None:
    assert len(QUERIES) == 14


def test_the_guide_names_every_view_and_function(reader_uri: str) -> None:
    connection = connect(reader_uri)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'tsad'::regnamespace AND "
            "relname LIKE 'v\\_%' "
            "UNION ALL SELECT proname::text || '(' FROM pg_proc WHERE pronamespace = "
            "'tsad'::regnamespace "
            "AND has_function_privilege(oid, 'EXECUTE')"
        )
        names = [name for (name,) in cursor.fetchall()]
    connection.close()
    assert len(names) == 47
    assert [name for name in names if f"| `{name}" not in GUIDE] == []


def test_every_word_is_defined_once() -> None:
    defined = Counter(
        re.findall(
            r"^\| \*\*(\w+)\*\* \|", DOCS.joinpath("glossary.md").read_text(encoding="utf-8"), re.M
        )
    )
    assert {word: defined[word] for word in WORDS} == dict.fromkeys(WORDS, 1)
    assert set(defined.values()) == {1}
