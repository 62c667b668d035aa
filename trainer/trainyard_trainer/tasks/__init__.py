"""What is predicted: losses, metrics and answers."""
