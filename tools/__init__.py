"""Generators and reports for the people who develop Trainyard."""
