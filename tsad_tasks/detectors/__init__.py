"""The models. A detector gives errors; it never decides, and never sees Postgres."""
