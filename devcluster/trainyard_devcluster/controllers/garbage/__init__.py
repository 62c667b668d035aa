"""Garbage collection: what goes when its owner or its namespace goes."""
