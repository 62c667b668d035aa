"""Typed spec and status of TrainingJob and ModelService.

The single source of what the resources look like: the CRDs are generated from these models, the operator parses with
them, and the trainer reads its input with them. To read a resource takes nothing but pydantic.
"""
