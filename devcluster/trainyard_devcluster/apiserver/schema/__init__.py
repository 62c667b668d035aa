"""Schemas: of the built-in kinds (as published) and of custom resources, and what is done by them."""
