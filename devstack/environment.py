"""The environment variables under which Airflow's programs run on one machine."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from devstack import postgres
from devstack.private import locked, read_private_json, write_private, write_private_json

ADMIN = "admin"
DATABASE_URI = "TSAD_DATABASE_URI"
MIGRATE_URI = "TSAD_MIGRATE_URI"
METADATA_URI = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
# The page's own login, an operator's.
PAGE_VARIABLE = "AIRFLOW_CONN_TSAD_PAGE"

# What is the same on every machine.
_FIXED = Path(__file__).with_name("airflow.env").read_text(encoding="utf-8").splitlines()
FIXED = dict(line.split("=", 1) for line in _FIXED if line and not line.startswith("#"))


@dataclass(frozen=True)
class Secrets:
    """What Airflow's programs must share, and the admin's password."""

    fernet_key: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    api_secret_key: str = field(repr=False)
    admin_password: str = field(repr=False)


@dataclass(frozen=True)
class Places:
    """The folders of one local stack: checkout, DAGs, plugins, and what it writes."""

    project: Path
    home: Path
    dags: Path
    plugins: Path

    @classmethod
    def of(cls, project: Path, home: Path, dags: Path | None = None) -> Places:
        """The places of a checkout, with another folder of DAGs if given."""
        return cls(project, home, dags or project / "dags", project / "plugins")

    @property
    def airflow_home(self) -> Path:
        """Airflow's own folder: its configuration and task logs."""
        return self.home / "airflow"

    @property
    def password_path(self) -> Path:
        """The file from which Airflow's simple login reads names and passwords."""
        return self.home / "passwords.json"


def ensure_secrets(home: Path) -> tuple[Secrets, bool]:
    """The secrets kept in `home` (mode 0600), and whether this call generated them."""
    path = home / "secrets.json"
    with locked(home):
        if path.exists():
            return Secrets(**read_private_json(path)), False
        fernet_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii")
        # JWT secret, API secret key, password of the admin.
        rest = (secrets.token_urlsafe(n_bytes) for n_bytes in (48, 32, 12))
        generated = Secrets(fernet_key, *rest)
        write_private(home / "passwords.json", json.dumps({ADMIN: generated.admin_password}) + "\n")
        write_private_json(path, asdict(generated))
        return generated, True


def airflow_environment(
    places: Places,
    kept: Secrets,
    cluster: postgres.Cluster | None,
    inherited: Mapping[str, str],
    *,
    api_port: int = 8080,
    headless: bool = False,
) -> dict[str, str]:
    """The whole environment of an Airflow program: `inherited`, then ours.

    Parameters
    ----------
    cluster : the embedded server; None where `inherited` names other servers for both databases.
    inherited
        The caller's environment. Its `TSAD_DATABASE_URI`, `TSAD_MIGRATE_URI` and
        `AIRFLOW__DATABASE__SQL_ALCHEMY_CONN` replace the embedded server's; `AIRFLOW_CONN_<SOURCE>`
        pass through.
    api_port : tCP port of the api-server, which tasks call back.
    headless
        True gives runs without a scheduler their own metadata database, so that the UI never shows
        them: their start times are not when they ran.
    """

    def uri(database: str, role: str, driver: str = "") -> str:
        if cluster is None:
            raise ValueError(f"Expected a cluster for the database {database}. Received: None.")
        return cluster.uri(database, role).replace("postgresql://", f"postgresql{driver}://", 1)

    warehouse_uri = inherited.get(DATABASE_URI) or uri(postgres.WAREHOUSE, postgres.PIPELINE)
    owner_uri = inherited.get(MIGRATE_URI) or inherited.get(DATABASE_URI)
    owner_uri = owner_uri or uri(postgres.WAREHOUSE, postgres.OWNER)
    metadata_uri = None if headless else inherited.get(METADATA_URI)
    metadata = postgres.HEADLESS_METADATA if headless else postgres.METADATA
    known_paths = [one for one in inherited.get("PYTHONPATH", "").split(os.pathsep) if one]
    page_uri = inherited.get(PAGE_VARIABLE)
    if page_uri is None and cluster is not None and not inherited.get(DATABASE_URI):
        page_uri = uri(postgres.WAREHOUSE, postgres.ON_CALL)
    paths = dict.fromkeys([str(places.project), str(places.plugins), *known_paths])
    return {
        **inherited,
        **FIXED,
        "AIRFLOW_HOME": str(places.airflow_home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(places.dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(places.plugins),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(places.password_path),
        "AIRFLOW__CORE__FERNET_KEY": kept.fernet_key,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{api_port}/execution/",
        "AIRFLOW__API_AUTH__JWT_SECRET": kept.jwt_secret,
        "AIRFLOW__API__SECRET_KEY": kept.api_secret_key,
        "AIRFLOW__API__PORT": str(api_port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{api_port}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(places.airflow_home / "logs"),
        "AIRFLOW_CONN_TSAD_WAREHOUSE": inherited.get("AIRFLOW_CONN_TSAD_WAREHOUSE")
        or warehouse_uri,
        **({PAGE_VARIABLE: page_uri} if page_uri else {}),
        DATABASE_URI: warehouse_uri,
        MIGRATE_URI: owner_uri,
        METADATA_URI: metadata_uri or uri(metadata, postgres.AIRFLOW, "+psycopg2"),
        "PYTHONPATH": os.pathsep.join(paths),
        "TSAD_HOME": str(places.home),
        "TSAD_PROJECT": str(places.project),
    }
