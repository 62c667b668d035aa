"""The search for the best settings: trials in processes of their own, the best of which is exported."""
