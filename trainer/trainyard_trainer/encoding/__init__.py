"""Preprocessing as TensorFlow graph, for each kind of input: in training and in the served model alike."""
