"""Addresses on the page *Anomalies*, for those who are not on it: messages, the PDF."""

from __future__ import annotations

from urllib.parse import quote


def incident_link(page_url: str, incident_id: str) -> str:
    """Where the page shows one incident.

    >>> incident_link("https://airflow.example.com/plugin/anomalies/tsad", "INC-1/2")
    'https://airflow.example.com/plugin/anomalies/tsad/incidents/INC-1%2F2'
    """
    return f"{page_url}/incidents/{quote(incident_id, safe='')}"
