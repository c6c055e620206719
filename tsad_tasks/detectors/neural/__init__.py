"""Detectors that learn with Keras and score with ONNX Runtime, one file a network."""
