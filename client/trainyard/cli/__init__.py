"""The command `trainyard`, which is `kubectl trainyard` too."""

from trainyard.cli.app import main

__all__ = ["main"]
