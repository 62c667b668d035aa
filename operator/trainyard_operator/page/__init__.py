"""The read-only page: trainings with their curves, services with their rollouts, for those who may see them."""
