"""Differentially private training: what it costs (`plan`), and its steps (`steps`)."""
