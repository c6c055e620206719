"""A stack for one machine: embedded PostgreSQL, Airflow with its UI, and simulated plants."""
