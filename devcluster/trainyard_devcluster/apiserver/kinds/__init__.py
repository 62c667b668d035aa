"""What the server itself decides about objects of some kinds when they are written."""
