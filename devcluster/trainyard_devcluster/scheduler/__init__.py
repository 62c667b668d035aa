"""The scheduler: binds pods to nodes that have room."""
