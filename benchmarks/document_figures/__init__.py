"""Every figure and claim of documents A to E, measured with the project's own detectors, thresholds
and evaluation.
"""
