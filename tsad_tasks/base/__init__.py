"""What every room may use: errors, times, digests, confidence, expressions, settings, rules."""
