"""Brings both databases to this version and makes the admin's login, once per start of the stack;
harmless again.

Reads TSAD_MIGRATE_URI (the warehouse's owner), AIRFLOW_ADMIN_PASSWORD, and Airflow's own settings.
"""

from __future__ import annotations

import os

from tsad_tasks.storage.migrate import advice, migrate

ADMIN = "admin"


def migrate_metadata() -> None:
    """Airflow's tables, those of its login included."""
    from airflow.utils import db

    db.upgradedb()


def ensure_admin(password: str) -> bool:
    """Whether the admin had to be made; a password that was changed in the UI stays."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        security = builder.sm
        security.sync_roles()
        if security.find_user(username=ADMIN) is not None:
            return False
        role = security.find_role("Admin")
        # By the library and not by `airflow users create`: on a command line, others could read the
        # password.
        if not security.add_user(ADMIN, "Admin", "of tsad", "admin@localhost", role, password):
            raise RuntimeError(
                "Expected Airflow to add the user admin. Received: a refusal; its log says why."
            )
    return True


def main() -> None:
    """Run all three, and say which logins are not bounded yet."""
    print(
        "warehouse:",
        migrate(os.environ["TSAD_MIGRATE_URI"], writer="tsad_pipeline", reader="tsad_browser"),
    )
    for statement in advice(os.environ["TSAD_MIGRATE_URI"]):
        print(f"warehouse: a superuser should run: {statement};")
    migrate_metadata()
    print(
        "admin:", "made" if ensure_admin(os.environ["AIRFLOW_ADMIN_PASSWORD"]) else "there already"
    )


if __name__ == "__main__":
    main()
