"""Detectors that carry a state from reading to reading, and the heads that decide by it."""
