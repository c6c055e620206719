"""Anomaly scoring of sensor tables: everything that is not schedule."""
