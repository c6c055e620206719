from __future__ import annotations

import psycopg2

from devstack.postgres import BROWSER, PIPELINE


def scalar(uri: str, statement: str) -> object:
    connection = psycopg2.connect(uri)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
            assert row is not None
            return row[0]
    finally:
        connection.close()


def test_a_warehouse_has_the_schema_and_its_login_roles(warehouse_uri: str) -> None:
    assert scalar(warehouse_uri, "select count(*) from pg_namespace where nspname = 'tsad'") == 1
    assert (
        scalar(warehouse_uri, f"select pg_has_role('{PIPELINE}', 'tsad_writer', 'member')") is True
    )
    assert (
        scalar(warehouse_uri, f"select pg_has_role('{BROWSER}', 'tsad_reader', 'member')") is True
    )


def test_an_empty_database_has_no_table_of_ours(empty_database_uri: str) -> None:
    assert (
        scalar(empty_database_uri, "select count(*) from pg_namespace where nspname = 'tsad'") == 0
    )
