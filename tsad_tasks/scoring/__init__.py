"""From readings to scores, anomalies and incidents."""
