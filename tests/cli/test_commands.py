"""The command `tsad` as one types it: what it says, where, and its exit code."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import typer
import yaml
from typer.main import get_command

from devstack.postgres import BROWSER, PIPELINE, Cluster, free_port
from tests.plants.trained import CONFIG, END_AT, SPLIT_AT, Plant
from tests.receivers import webhook
from tests.statements import run
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import HOUR
from tsad_tasks.base.places import project_folder
from tsad_tasks.cli import main, screen
from tsad_tasks.cli.commands import app

COMMANDS = [
    ["demo"],
    ["up"],
    ["down"],
    ["status"],
    ["migrate"],
    ["load-csv"],
    ["ingest"],
    ["retrain"],
    ["score"],
    ["rehearse"],
    ["rescore"],
    ["report"],
    ["anomalies"],
    ["evaluate"],
    ["explore"],
    ["prune"],
    ["notify"],
    ["verdict"],
    ["new-normal"],
    ["label"],
    ["labels"],
    ["maintenance", "add"],
    ["maintenance", "list"],
    ["maintenance", "withdraw"],
    ["epoch", "add"],
    ["epoch", "list"],
    ["epoch", "withdraw"],
    ["datasets", "list"],
    ["datasets", "check"],
    ["datasets", "schema"],
]
DAY = ("--from", "2026-03-01", "--to", "2026-03-02")


@dataclass(frozen=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


Tsad = Callable[..., Said]


@pytest.fixture
def tsad(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Tsad:
    """Runs `tsad` with a home and dataset files of its own: room.yaml, and what the test adds."""
    folder = tmp_path / "datasets"
    folder.mkdir()
    folder.joinpath("room.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    for name, value in {
        "TSAD_HOME": tmp_path / "home",
        "TSAD_DATASETS": folder,
        "TSAD_ARTIFACTS": tmp_path,
    }.items():
        monkeypatch.setenv(name, str(value))

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["tsad", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Said(int(ended.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def migrated(monkeypatch: pytest.MonkeyPatch, warehouse_uri: str, cluster: Cluster) -> str:
    """The pipeline's URI of a migrated warehouse without rows, as the environment names it."""
    uri = cluster.uri(warehouse_uri.rsplit("/", 1)[1], PIPELINE)
    monkeypatch.setenv("TSAD_DATABASE_URI", uri)
    monkeypatch.setenv("TSAD_CONNECTION_ROOM", uri)
    return uri


def test_a_command_that_is_printed_runs_as_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    called = tmp_path / "bin" / "tsad"
    called.parent.mkdir()
    called.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(called), "demo"])
    for word in sorted(get_command(app).commands):
        screen.say(f"Next: tsad {word} room; tsad knows")
        assert capsys.readouterr().out == f"Next: {called} {word} room; tsad knows\n"
    screen.show_error(BadInput("Expected a room. Received: none. See: tsad datasets list."))
    assert f"See: {called} datasets list." in capsys.readouterr().err
    # Where the shell finds it, its name is enough.
    monkeypatch.setenv("PATH", str(called.parent))
    screen.say("Next: tsad up")
    assert capsys.readouterr().out == "Next: tsad up\n"


def test_the_command_loads_nothing_that_few_commands_need() -> None:
    program = "import sys, tsad_tasks.cli.commands; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in ran.stdout.split()}
    assert "typer" in loaded
    assert (
        loaded & {"alembic", "reportlab", "PIL", "keras", "scipy", "onnxruntime", "pandas"} == set()
    )


def _refused(said: Said, code: int = 2) -> str:
    """The one paragraph of an error."""
    assert said.code == code
    assert said.err.startswith("Error: Expected ")
    assert "Received: " in said.err
    assert "Traceback" not in said.out + said.err
    assert "\n\n" not in said.err.strip()
    return said.err


def test_the_installed_command_fails_in_one_paragraph_without_a_traceback(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("tsad")), "score", "nowhere", *DAY]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    names = sorted(
        path.stem for path in project_folder().joinpath("dags", "datasets").glob("*.yaml")
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("Error: Expected a dataset of ")
    assert run.stderr.endswith(f"({', '.join(names)}). Received: nowhere.\n")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(tsad: Tsad, command: list[str]) -> None:
    said = tsad(*command, "--help")
    assert said.code == 0
    assert said.out.startswith(f"Usage: tsad {' '.join(command)}")
    assert len(said.out.splitlines()) > 4


def test_the_version_is_said(tsad: Tsad) -> None:
    said = tsad("--version")
    assert (said.code, said.err) == (0, "")
    assert re.fullmatch(r"tsad \d+\.\d+\.\d+\n", said.out)


def test_the_list_of_commands_is_whole(tsad: Tsad) -> None:
    said = tsad("--help").out
    assert all(f"\n  {command[0]} " in said for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "hall", *DAY], "(room). Received: hall."),
        (
            ["ingest", "room", "--from", "soon", "--to", "2026-03-02"],
            "Expected a time such as 2026-03-01T06:00",
        ),
        (
            ["ingest", "room", "--from", "0001-01-01T00:00+05:00", "--to", "2026-03-02"],
            "Received: 0001-01-01T00:00+05:00.",
        ),
        (
            ["ingest", "room", "--from", "2026-03-02", "--to", "2026-03-01"],
            "Expected --from before --to. Received: 2026-03-02",
        ),
        (
            ["score", "room", "--from", "2026-03-01", "--to", "2026-03-01"],
            "Expected --from before --to.",
        ),
        (
            ["score", "room", *DAY, "--lineage", "dead"],
            "--lineage: Expected live or replay. Received: dead.",
        ),
        (
            ["retrain", "room", "--end", "2026-03-01", "--lineage", "dead"],
            "--lineage: Expected live or replay.",
        ),
        (["report", "room", "--end", "2026-02-30"], "Received: 2026-02-30."),
        (
            ["load-csv", "nowhere.csv", "--table", "t"],
            "Expected a file. Received: nowhere.csv, which is none.",
        ),
        (["anomalies", "hall"], "Expected a dataset that was ingested before. Received: 'hall'."),
        (
            ["datasets", "check", "hall"],
            "Expected dataset files that fit their tables. Received: 1 error, listed above.",
        ),
    ],
)
def test_bad_input_is_one_paragraph_and_exit_code_2(
    tsad: Tsad, migrated: str, arguments: list[str], message: str
) -> None:
    said = tsad(*arguments)
    assert said.code == 2
    assert message in said.err.replace("Error: --lineage", "--lineage")
    assert "Traceback" not in said.out + said.err
    assert said.err.startswith("Error: ")


@pytest.mark.parametrize(
    "arguments",
    [["score"], ["score", "room", "--form", "x"], ["anomalies", "room", "-n", "0"], ["fly"]],
)
def test_a_command_that_is_none_is_exit_code_2(tsad: Tsad, arguments: list[str]) -> None:
    said = tsad(*arguments)
    assert (said.code, said.out) == (2, "")
    assert "Usage: tsad" in said.err


def test_a_refused_password_is_told_without_it(
    tsad: Tsad, migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, tail = migrated.split("@")
    monkeypatch.setenv("TSAD_DATABASE_URI", f"{head}wrong@{tail}")
    message = _refused(tsad("anomalies", "room"))
    assert f"Expected a login that postgresql://{PIPELINE}:***@{tail} accepts." in message
    assert head.rsplit(":", 1)[1] not in message


def test_a_server_that_does_not_answer_is_exit_code_1(
    tsad: Tsad, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("TSAD_DATABASE_URI", f"postgresql://me:secret@127.0.0.1:{port}/warehouse")
    message = _refused(tsad("anomalies", "room"), code=1)
    assert (
        f"Expected a Postgres server at postgresql://me:***@127.0.0.1:{port}/warehouse." in message
    )
    monkeypatch.setenv("TSAD_MIGRATE_URI", f"postgresql://me:secret@127.0.0.1:{port}/warehouse")
    assert "Expected a Postgres server at" in _refused(tsad("migrate"), code=1)


def test_an_unknown_database_is_told(
    tsad: Tsad, migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSAD_DATABASE_URI", migrated.rsplit("/", 1)[0] + "/nowhere")
    assert "Expected a database that exists at" in _refused(tsad("anomalies", "room"))


def test_a_warehouse_without_schema_is_told_and_migrate_makes_it(
    tsad: Tsad, empty_database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSAD_DATABASE_URI", empty_database_uri)
    assert "Received: one without. Run: tsad migrate" in _refused(tsad("status"))
    newest = max(project_folder().joinpath("sql", "migrations").glob("*.sql")).name[:4]
    assert tsad("migrate", "--writer", PIPELINE).out.startswith(f"Schema {newest}.\n")
    assert tsad("status").code == 0


def test_a_login_without_rights_is_told_who_can_let_it_in(
    tsad: Tsad, warehouse_uri: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSAD_DATABASE_URI", cluster.uri(warehouse_uri.rsplit("/", 1)[1], BROWSER))
    monkeypatch.setenv("TSAD_CONNECTION_ROOM", warehouse_uri)
    message = _refused(tsad("ingest", "room", *DAY))
    assert "Received: permission denied for table dataset." in message
    assert "tsad migrate --writer <login>" in message


def test_a_source_without_a_connection_is_told_where_to_name_it(
    tsad: Tsad, migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TSAD_CONNECTION_ROOM")
    assert "Expected the URI of connection 'room' in TSAD_CONNECTION_ROOM" in _refused(
        tsad("ingest", "room", *DAY)
    )


def test_a_source_without_its_table_is_told(tsad: Tsad, migrated: str) -> None:
    said = tsad("ingest", "room", *DAY)
    assert "Expected a table or view that matches plant.metrics. Received: none." in _refused(said)


def test_a_score_without_a_champion_is_no_error(
    tsad: Tsad, migrated: str, warehouse_uri: str
) -> None:
    run(
        warehouse_uri,
        "CREATE SCHEMA plant; CREATE TABLE plant.metrics (at timestamptz, host text, cpu float8, "
        "temperature float8); "
        "INSERT INTO plant.metrics VALUES ('2026-03-01 05:00Z', 'a', 1, 2); "
        "GRANT USAGE ON SCHEMA plant TO PUBLIC; GRANT SELECT ON plant.metrics TO PUBLIC",
    )
    said = tsad("score", "room", "--from", "2026-03-01T05:00", "--to", "2026-03-01T06:00")
    assert (said.code, said.err) == (0, "")
    assert run(warehouse_uri, "SELECT entity, status FROM tsad.v_status") == [("a", "no_champion")]


def test_dataset_files_are_listed_with_what_is_wrong_with_them(tsad: Tsad, tmp_path: Path) -> None:
    tmp_path.joinpath("datasets", "hall.yaml").write_text(
        "dataset: hall\nsource: 5\n", encoding="utf-8"
    )
    said = tsad("datasets", "list")
    assert said.code == 0
    flat = " ".join(said.out.split())
    assert "room 2 room" in flat
    assert "hall.yaml:2: source: Expected a mapping. Received: 5." in flat


def test_a_check_names_the_mistake_and_is_exit_code_2(
    tsad: Tsad, migrated: str, tmp_path: Path
) -> None:
    tmp_path.joinpath("datasets", "hall.yaml").write_text(
        "dataset: hall\nsource: 5\n", encoding="utf-8"
    )
    said = tsad("datasets", "check")
    assert "Received: 2 errors, listed above." in _refused(said)
    flat = " ".join(said.out.split())
    assert "source: Expected a mapping. Received: 5." in flat
    assert "Expected a table or view that matches plant.metrics." in flat


def test_a_check_warns_of_what_counts_no_more_and_names_file_and_line(
    tsad: Tsad, migrated: str, tmp_path: Path
) -> None:
    path = tmp_path / "datasets" / "room.yaml"
    text = path.read_text(encoding="utf-8").replace("training:\n", "training:\n  max_minutes: 3\n")
    path.write_text(text, encoding="utf-8")
    line = text[: text.index("max_minutes")].count("\n") + 1
    flat = " ".join(tsad("datasets", "check").out.split())
    assert "warning" in flat
    assert f"room.yaml:{line}: training.max_minutes: Expected training.max_windows" in flat
    assert "Received: 3, which is deprecated and ignored." in flat


def test_a_check_says_what_is_left_to_decide_and_what_comes_next(
    tsad: Tsad, migrated: str, warehouse_uri: str, tmp_path: Path
) -> None:
    run(
        warehouse_uri,
        "CREATE SCHEMA plant; CREATE TABLE plant.metrics (at timestamptz, host text, cpu float8, "
        "temperature float8); "
        "INSERT INTO plant.metrics VALUES (now() - interval '2 hours', 'a', 1, 2); "
        "GRANT USAGE ON SCHEMA plant TO PUBLIC; GRANT SELECT ON plant.metrics TO PUBLIC",
    )
    path = tmp_path / "datasets" / "room.yaml"
    text = path.read_text(encoding="utf-8").replace("training:\n", "training: # CHECK: enough?\n")
    path.write_text(text, encoding="utf-8")
    line = text[: text.index("CHECK")].count("\n") + 1
    flat = " ".join(tsad("datasets", "check", "room").out.split())
    assert f"room.yaml: 1 line still says CHECK, for you to decide: {line}" in flat
    begun = flat.index("Next: ")
    command = shlex.split(flat[begun + len("Next: ") :].partition(" and: ")[0])
    # Nothing is older than the reading of two hours ago.
    ((oldest,),) = run(warehouse_uri, "SELECT date_trunc('hour', min(at)) FROM plant.metrics")
    assert command[:4] == ["tsad", "ingest", "room", "--from"]
    assert datetime.fromisoformat(f"{command[4]}Z") == oldest
    tsad(*command[1:])
    # What was read is no new dataset.
    assert "Next: " not in tsad("datasets", "check", "room").out


def test_each_error_of_a_file_is_a_line_of_a_check(
    tsad: Tsad, migrated: str, tmp_path: Path
) -> None:
    path = tmp_path / "datasets" / "room.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "colour: red\nsmell: none\n", "utf-8")
    found = tsad("datasets", "check", "room")
    assert "\\n" not in found.out
    assert [name in found.out for name in ("colour", "smell")] == [True, True]
    assert "Received: 2 errors, listed above." in found.err


def test_of_a_dataset_that_is_not_live_a_check_names_the_range_of_its_readings(
    tsad: Tsad, migrated: str, warehouse_uri: str
) -> None:
    run(
        warehouse_uri,
        "CREATE SCHEMA plant; CREATE TABLE plant.metrics (at timestamptz, host text, cpu float8, "
        "temperature float8); "
        "INSERT INTO plant.metrics VALUES ('2026-03-01 05:20Z', 'a', 1, 2), "
        "('2026-03-02 07:10Z', 'a', 1, 2); "
        "GRANT USAGE ON SCHEMA plant TO PUBLIC; GRANT SELECT ON plant.metrics TO PUBLIC",
    )
    flat = " ".join(tsad("datasets", "check", "room").out.split())
    ingest = "tsad ingest room --from 2026-03-01T05:00 --to 2026-03-02T08:00"
    assert f"Next: {ingest} and: tsad retrain room --end 2026-03-02T08:00" in flat
    assert tsad(*shlex.split(ingest)[1:]).code == 0
    said = " ".join(tsad("models", "room").out.split())
    assert "No model yet: tsad retrain room --end 2026-03-02T08:00" in said


TWO_SOURCES = """dataset: hall
source:
  - connection: near
    tables: press
    time: {column: at}
    entity: {column: machine}
    step: 10min
    channels: {pressure: {}}
  - connection: far
    tables: climate
    time: {column: at}
    entity: {constant: m1}
    channels: {temp: {}}
"""


def test_a_dataset_of_two_connections_is_listed_checked_and_ingested(
    tsad: Tsad,
    migrated: str,
    empty_database_uri: str,
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    far = cluster.create_database(f"far_{uuid4().hex}")
    at = "timestamptz '2024-05-01 10:00Z' AS at"
    run(empty_database_uri, f"CREATE TABLE press AS SELECT {at}, 'm1' AS machine, 4 AS pressure")
    run(far, f"CREATE TABLE climate AS SELECT {at}, 21 AS temp")
    monkeypatch.setenv("TSAD_CONNECTION_NEAR", empty_database_uri)
    monkeypatch.setenv("TSAD_CONNECTION_FAR", far)
    tmp_path.joinpath("datasets", "hall.yaml").write_text(TWO_SOURCES, encoding="utf-8")
    assert "near, far" in tsad("datasets", "list").out
    headings = re.findall(r"hall, source .*", tsad("datasets", "check", "hall").out)
    assert [one.strip() for one in headings] == [
        "hall, source near: 'press'", "hall, source far: 'climate'",
    ]  # fmt: skip
    span = ("--from", "2024-05-01T10:00", "--to", "2024-05-01T11:00")
    assert tsad("ingest", "hall", *span).code == 0
    values = "SELECT channel, value FROM tsad.readings('hall', 'm1', '2024-01-01', '2025-01-01')"
    assert sorted(run(migrated, values)) == [("pressure", 4), ("temp", 21)]
    monkeypatch.setenv("TSAD_CONNECTION_FAR", f"{far}_gone")
    said = tsad("ingest", "hall", *span, "--force")
    assert "Source far: Expected a database" in " ".join(said.err.split()), said
    cluster.drop_database(far.rsplit("/", 1)[1])


def test_the_schema_is_json(tsad: Tsad) -> None:
    assert "source" in json.loads(tsad("datasets", "schema").out)["properties"]


def test_status_without_anything_says_so(tsad: Tsad, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TSAD_DATABASE_URI", raising=False)
    said = tsad("status")
    assert (said.code, said.out) == (0, "Airflow: not running\nPostgres: not running\n")


def test_a_plant_is_scored_listed_and_shown(
    tsad: Tsad, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSAD_DATABASE_URI", plant.uri)
    monkeypatch.setenv("TSAD_CONNECTION_ROOM", plant.uri)
    span = ("--from", SPLIT_AT.isoformat(), "--to", END_AT.isoformat())
    assert tsad("score", "room", *span).code == 0
    incidents = plant.execute("SELECT incident_id FROM tsad.v_incident")
    listed = tsad("anomalies", "room", *span).out
    assert incidents
    assert all(incident in listed for (incident,) in incidents)
    readings = tsad("anomalies", "room", "--readings", "-n", "2", *span).out
    assert len(readings.splitlines()) == 2 + 2
    before = tsad("anomalies", "room", "--to", "2026-01-01").out
    assert before.startswith("Nothing was scored in this range: what is in it is not known.\n")
    after = tsad("anomalies", "room", "--from", f"{END_AT - HOUR:%Y-%m-%dT%H:%M}").out
    assert after == "No anomalies in this range.\n"
    status = " ".join(tsad("status").out.split())
    assert "room 2 2026-03-07 23:55 2026-03-07 23:00" in status


def test_bundles_are_pruned_and_what_would_be_is_said(
    tsad: Tsad, plant: Plant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TSAD_DATABASE_URI", plant.uri)
    (uri,) = plant.execute("SELECT artifact_uri FROM tsad.v_model")[0]
    shutil.copytree(uri, tmp_path / "room" / Path(uri).name)
    assert "Expected --older-than, or retention.models" in _refused(tsad("prune", "room"))
    wrong = tsad("prune", "room", "--older-than", "old")
    assert wrong.code == 2
    assert wrong.err.startswith("Error: --older-than: Expected a duration such as")
    assert "kept champion or in the shadow" in " ".join(
        tsad("prune", "room", "--older-than", "0s").out.split()
    )
    plant.execute("DELETE FROM tsad.champion_record")
    plant.execute("UPDATE tsad.model SET train_end_at = train_end_at - interval '1 day'")
    said = tsad("prune", "room", "--older-than", "0s", "--dry-run").out
    assert "1 would be removed nothing refers to it" in " ".join(said.split())
    assert " MB removed; 0 folders" in tsad("prune", "room", "--older-than", "0s").out
    assert list((tmp_path / "room").iterdir()) == []


def test_people_are_told_of_a_plant_s_incidents(
    tsad: Tsad, plant: Plant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TSAD_DATABASE_URI", plant.uri)
    monkeypatch.setenv("TSAD_CONNECTION_ROOM", plant.uri)
    told = {"targets": [{"webhook": "chat"}], "max_age": "3650d", "max_per_run": 1000}
    tmp_path.joinpath("datasets", "room.yaml").write_text(
        yaml.safe_dump(CONFIG | {"notifications": told})
    )
    tsad("score", "room", "--from", SPLIT_AT.isoformat(), "--to", END_AT.isoformat())
    n_incidents = plant.execute("SELECT count(*) FROM tsad.v_incident WHERE lineage = 'live'")[0][0]
    with webhook() as chat:
        monkeypatch.setenv("TSAD_CONNECTION_CHAT", f"http://127.0.0.1:{chat.port}/")
        said = [tsad("notify", "room").out for _ in range(2)]
        assert len(chat.receiver.keys) == len(chat.receiver.accepted) == n_incidents > 0
    assert f"messages {n_incidents} and delivered {n_incidents}" in said[0]
    assert said[1].startswith("notify: nothing to do\n")
    assert tsad("notify", "room", "--pending").out == "No messages wait.\n"


def test_no_command_and_no_option_was_lost() -> None:
    known = Path(__file__).with_name("public_commands.txt").read_text(encoding="utf-8")
    assert set(known.splitlines()) <= {*command_lines(typer.main.get_command(app), "tsad")}


def command_lines(command: Any, name: str) -> Iterator[str]:
    """A line for each command: what it takes, with `!` what it needs, with `=` its default."""
    for child in getattr(command, "commands", {}).values():
        yield from command_lines(child, f"{name} {child.name}")
    takes = []
    for one in command.params:
        names = "/".join([*one.opts, *one.secondary_opts])
        default = "!" if one.required else f"={one.default}"
        takes.append(f"{names}{default}")
    yield " ".join([name, *takes])


def test_an_example_without_tables_is_not_listed_until_it_has_some(
    tsad: Tsad, tmp_path: Path
) -> None:
    room = yaml.safe_load((tmp_path / "datasets" / "room.yaml").read_text(encoding="utf-8"))
    room["source"]["connection"] = "tsad_demo"
    (tmp_path / "datasets" / "room.yaml").write_text(yaml.safe_dump(room), encoding="utf-8")
    absent = tmp_path / "home" / "absent" / "room"
    absent.parent.mkdir(parents=True)
    absent.touch()
    assert (
        "Examples without tables: room. Fill them: tsad simulate room"
        in tsad("datasets", "list").out
    )
    assert (tsad("datasets", "check").code, tsad("datasets", "check").out) == (0, "")
    absent.unlink()
    assert "room " in tsad("datasets", "list").out
    assert "Examples without" not in tsad("datasets", "list").out
