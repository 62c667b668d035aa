"""Families gradientBoostedTrees and randomForest: grown by ydf, served as a graph of core TensorFlow operations."""
