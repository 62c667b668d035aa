"""Defaults of the built-in kinds, as far as controllers and clients rely on them. Each fills in an object in place."""
