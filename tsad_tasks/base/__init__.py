"""What every room may use: errors, intervals, local time, digests, confidence, expressions, the
clock.
"""
