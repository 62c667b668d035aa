"""The Job controller (batch/v1)."""
