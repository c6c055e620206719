"""Writes the env file with random secrets that docker compose reads; `make secrets` runs it."""

from __future__ import annotations

import base64
import secrets
import sys
from pathlib import Path

from devstack.private import write_private
from tsad_tasks.base.errors import BadInput

PASSWORDS = (
    *("POSTGRES_PASSWORD", "AIRFLOW_DB_PASSWORD", "TSAD_OWNER_PASSWORD", "TSAD_PIPELINE_PASSWORD"),
    *("TSAD_BROWSER_PASSWORD", "REDIS_PASSWORD", "AIRFLOW_ADMIN_PASSWORD", "AIRFLOW_JWT_SECRET"),
    *("AIRFLOW_API_SECRET_KEY", "AIRFLOW_RESULTS_PASSWORD", "TSAD_ON_CALL_PASSWORD"),
)


def write_compose_secrets(path: Path) -> None:
    """Write `path` with mode 0600.

    Raises
    ------
    BadInput : the file exists: new secrets would lock the stack out of its own databases.
    """
    if path.exists():
        hint = "Remove it to generate new secrets."
        raise BadInput(f"Expected no file {path}. Received: one. {hint}")
    fernet_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii")
    # URL-safe, since they become parts of connection URIs.
    lines = [f"{name}={secrets.token_urlsafe(32)}" for name in PASSWORDS]
    write_private(path, "\n".join([*lines, f"AIRFLOW_FERNET_KEY={fernet_key}"]) + "\n")


if __name__ == "__main__":
    write_compose_secrets(Path(sys.argv[1]))
    print(f"wrote {sys.argv[1]} (mode 0600)")
