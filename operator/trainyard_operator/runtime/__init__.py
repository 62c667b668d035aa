"""Work queue, workers, backoff, metrics and health."""
