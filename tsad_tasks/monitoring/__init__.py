"""Whether the pipeline still does what it promised: drift, audit, housekeeping."""
