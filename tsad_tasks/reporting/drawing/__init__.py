"""The paper: plots, tables and pages, without knowing what they show."""
