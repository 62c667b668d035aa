"""The training itself: settings, steps, the loop around them, checkpoints and reasons to stop."""
