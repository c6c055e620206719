"""Slow, obvious twins of the fast kernels: plain Python, one step at a time."""
