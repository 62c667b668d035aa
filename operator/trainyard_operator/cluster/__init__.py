"""The one port to the API server."""
