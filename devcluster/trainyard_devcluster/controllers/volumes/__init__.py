"""Persistent volumes: folders made for claims, and claims bound to volumes."""
