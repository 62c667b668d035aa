"""The four kinds of patches, as functions from object to object, and the bookkeeping of who owns which field."""
