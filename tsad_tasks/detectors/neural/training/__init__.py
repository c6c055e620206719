"""What trains a network and writes it as ONNX. Loaded where it is used."""
