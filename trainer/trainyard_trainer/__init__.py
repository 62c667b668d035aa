"""What runs inside a training pod: data in, SavedModel version out."""
