"""Postgres and artifacts. Knows core; never Keras."""
