"""Controllers: Job, Deployment, endpoints, garbage collection."""
