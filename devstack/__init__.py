"""A stack for one machine: embedded PostgreSQL, Airflow's environment, and the processes of its
UI.
"""
