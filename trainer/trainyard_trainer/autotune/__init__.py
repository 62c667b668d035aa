"""Batch size, precision and XLA, where the spec leaves them to the trainer."""
