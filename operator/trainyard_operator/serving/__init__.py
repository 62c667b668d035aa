"""Everything about ModelService, one file per concern."""
