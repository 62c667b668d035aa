"""The API server: the Kubernetes wire protocol over objects in memory."""
