"""The Deployment controller (apps/v1)."""
