"""What a training says of itself while it runs and when it ends."""
