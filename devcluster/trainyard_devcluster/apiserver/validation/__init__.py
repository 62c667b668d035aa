"""Rules on the built-in kinds that no schema expresses and that people do break."""
