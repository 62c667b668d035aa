"""A TensorFlow-Serving-compatible model server, where no real one is on PATH."""
