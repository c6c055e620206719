"""Numbers in, numbers out: features, windows, scores, thresholds, incidents. No files, clock,
database or random state.
"""
