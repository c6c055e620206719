"""What judges windows: ONNX Runtime, and where an error comes from. Loaded where it is used."""
