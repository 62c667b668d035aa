"""Copies one verified model version from a store to its model server.

Both images run it: the operator's for versions on a volume, the trainer's for object stores.
"""
