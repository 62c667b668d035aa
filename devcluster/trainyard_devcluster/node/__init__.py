"""The node agent: runs pods as local processes and makes Services reachable."""
