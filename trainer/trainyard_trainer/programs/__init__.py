"""Code of the user's own: where it comes from, and how it is called."""
