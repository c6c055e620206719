"""Views and functions of sql/public: one statement each, put in place under what people built on
them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from devstack.postgres import BROWSER, PIPELINE, Cluster, administration
from tests.statements import run
from tests.storage.catalogue import catalogue
from tests.storage.test_migrate import MIGRATIONS
from tests.storage.test_upgrade import PREVIOUS, fill, migrate_to
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.places import project_folder
from tsad_tasks.storage import migrate as migrations
from tsad_tasks.storage import public
from tsad_tasks.storage.migrate import migrate

PUBLIC = project_folder() / "sql" / "public"
REVISIONS = sorted(path.name for path in PREVIOUS.iterdir() if path.is_dir())


@pytest.fixture
def stranger(cluster: Cluster) -> Iterator[str]:
    """A role that is not ours."""
    name = f"stranger_{uuid4().hex}"
    with administration(cluster) as server, server.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {name} NOLOGIN")
    yield name
    with administration(cluster) as server, server.cursor() as cursor:
        cursor.execute(f"DROP ROLE {name}")


@pytest.fixture
def old_uri(cluster: Cluster) -> Iterator[str]:
    """The newest of the earlier warehouses, not yet upgraded."""
    name = f"old_{uuid4().hex}"
    uri = cluster.create_database(name)
    migrate_to(uri, REVISIONS[-1])
    fill(uri, (PREVIOUS / REVISIONS[-1] / "rows.copy").read_text("utf-8"), Path("nowhere"))
    yield uri
    cluster.drop_database(name)


@pytest.fixture
def own_public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of sql/public to change, from which everything is put in place."""
    folder = shutil.copytree(PUBLIC, tmp_path / "public")
    monkeypatch.setattr(public, "_PUBLIC", folder)
    return folder


def _as_role(uri: str, role: str, statement: str) -> list[tuple[object, ...]]:
    """Rows of a statement as another role sees them."""
    return run(uri, f"SET ROLE {role}; {statement}", ())


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_upgrade_leaves_the_catalogue_of_a_fresh_install(
    cluster: Cluster, warehouse_uri: str, revision: str
) -> None:
    name = f"upgraded_{uuid4().hex}"
    uri = cluster.create_database(name)
    migrate_to(uri, revision)
    fill(uri, (PREVIOUS / revision / "rows.copy").read_text("utf-8"), Path("nowhere"))
    migrate(uri, writer=PIPELINE, reader=BROWSER)
    found, fresh = catalogue(uri), catalogue(warehouse_uri)
    cluster.drop_database(name)
    assert len(fresh) > 400
    assert found == fresh


@pytest.mark.parametrize("name", sorted(path.stem for path in PUBLIC.glob("*.sql")))
def test_a_file_states_the_one_object_that_it_is_named_after(name: str) -> None:
    text = PUBLIC.joinpath(f"{name}.sql").read_text("utf-8")
    created = [line for line in text.splitlines() if line.startswith("CREATE")]
    assert len(created) == 1
    assert created[0].startswith(
        (f"CREATE OR REPLACE VIEW tsad.{name} AS", f"CREATE OR REPLACE FUNCTION tsad.{name}(")
    )
    assert "\nGRANT " in text


def test_all_that_is_public_has_its_file(warehouse_uri: str) -> None:
    rows = run(
        warehouse_uri,
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'tsad'::regnamespace AND relkind "
        "= 'v' "
        "UNION SELECT proname::text FROM pg_proc WHERE pronamespace = 'tsad'::regnamespace",
        (),
    )
    assert {name for (name,) in rows} == {path.stem for path in PUBLIC.glob("*.sql")}


def test_what_people_built_on_it_survives_an_upgrade(old_uri: str, stranger: str) -> None:
    run(old_uri, "CREATE SCHEMA theirs", ())
    run(old_uri, "CREATE VIEW theirs.open AS SELECT i.* FROM tsad.v_incident i", ())
    run(
        old_uri, "CREATE VIEW theirs.worst AS SELECT * FROM theirs.open WHERE severity = 'HIGH'", ()
    )
    run(old_uri, f"GRANT USAGE ON SCHEMA tsad, theirs TO {stranger}", ())
    run(old_uri, f"GRANT SELECT ON tsad.v_incident, tsad.v_shadow, theirs.open TO {stranger}", ())
    run(old_uri, f"GRANT EXECUTE ON FUNCTION tsad.scores TO {stranger} WITH GRANT OPTION", ())
    before = run(old_uri, "SELECT * FROM theirs.open ORDER BY 1", ())
    migrate(old_uri)
    assert before
    assert run(old_uri, "SELECT * FROM theirs.open ORDER BY 1", ()) == before
    known = "SELECT incident_id FROM tsad.v_incident ORDER BY 1"
    assert len(_as_role(old_uri, stranger, known)) == len(before)
    scores = "SELECT * FROM tsad.scores('room', 'host-01', '2026-03-07Z', '2026-03-08Z')"
    assert len(_as_role(old_uri, stranger, scores)) == 120
    assert _as_role(old_uri, stranger, "SELECT count(*) FROM tsad.v_shadow") == [(0,)]
    run(old_uri, f"DROP OWNED BY {stranger}", ())


def test_a_column_is_added_under_what_people_built_in_one_file(
    old_uri: str, own_public: Path
) -> None:
    run(old_uri, "CREATE VIEW mine AS SELECT * FROM tsad.v_incident", ())
    _replace(own_public / "v_incident.sql", "\n  FROM ", ", 7 AS added\n  FROM ")
    migrate(old_uri)
    assert run(old_uri, "SELECT DISTINCT added FROM tsad.v_incident", ()) == [(7,)]
    assert run(old_uri, "SELECT count(*) > 0 FROM mine", ()) == [(True,)]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("v_quality", "q.verdict, ", ""),
        ("v_quality", "q.verdict, ", "q.verdict AS said, "),
        ("v_quality", "q.n_steps, ", "q.n_steps::bigint AS n_steps, "),
        ("scores", "score real, flag", "score double precision, flag"),
    ],
    ids=["removed", "renamed", "retyped", "function"],
)
def test_another_shape_stops_the_upgrade_and_names_what_depends_on_it(
    old_uri: str, own_public: Path, name: str, old: str, new: str
) -> None:
    run(old_uri, "CREATE VIEW mine AS SELECT * FROM tsad.v_quality", ())
    run(old_uri, "CREATE VIEW more AS SELECT * FROM mine", ())
    before = catalogue(old_uri)
    _replace(own_public / f"{name}.sql", old, new)
    depend = "view mine, view more" if name == "v_quality" else "nothing"
    with pytest.raises(
        BadInput, match=rf"Expected tsad\.{name} with the columns .* On it depend: {depend}\."
    ):
        migrate(old_uri)
    assert catalogue(old_uri) == before
    assert run(old_uri, "SELECT version_num FROM tsad_version", ()) == [(REVISIONS[-1],)]


def _drops_quality(folder: Path) -> Path:
    """Migrations with one more, which drops a view to give it another shape."""
    copied = shutil.copytree(MIGRATIONS, folder / "migrations")
    newest = max((copied / "versions").glob("*.py"))
    number = f"{int(newest.stem[:4]) + 1:04}"
    text = newest.read_text("utf-8").replace(newest.stem, f"{number}_shape")
    text = text.replace(
        f'down_revision = "{int(number) - 2:04}"', f'down_revision = "{newest.stem[:4]}"'
    )
    text = text.replace(f'\nrevision = "{newest.stem[:4]}"', f'\nrevision = "{number}"')
    (copied / "versions" / f"{number}_shape.py").write_text(text, "utf-8")
    (copied / f"{number}_shape.sql").write_text("DROP VIEW tsad.v_quality;", "utf-8")
    return copied


def test_a_migration_that_drops_a_view_stops_at_what_depends_on_it_and_keeps_grants(
    old_uri: str, own_public: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stranger: str
) -> None:
    monkeypatch.setattr(migrations, "_MIGRATIONS", _drops_quality(tmp_path))
    _replace(own_public / "v_quality.sql", "q.verdict, ", "q.verdict AS said, ")
    _replace(own_public / "v_quality.sql", "v_quality.verdict", "v_quality.said")
    run(old_uri, f"GRANT SELECT ON tsad.v_quality TO {stranger}", ())
    run(old_uri, "CREATE VIEW mine AS SELECT * FROM tsad.v_quality", ())
    with pytest.raises(BadInput, match=r"nothing that depends .* Received: view mine depends on"):
        migrate(old_uri)
    run(old_uri, "DROP VIEW mine", ())
    migrate(old_uri)
    run(old_uri, f"GRANT USAGE ON SCHEMA tsad TO {stranger}", ())
    assert _as_role(old_uri, stranger, "SELECT said FROM tsad.v_quality") == []
    run(old_uri, f"DROP OWNED BY {stranger}", ())
