"""From a trained model to a version in the store: written, checked, described, signed and published."""
