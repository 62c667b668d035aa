"""Everything about TrainingJob, one file per concern."""
