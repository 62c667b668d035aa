"""The Trainyard operator: TrainingJob and ModelService resources on Kubernetes."""
