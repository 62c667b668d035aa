"""The guided tour that `make demo` runs: train, serve, predict, retrain, on a cluster of local processes."""
