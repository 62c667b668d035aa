-- Health of a TrainingProfile for Argo CD: it has no status, so it is healthy once it is there.
return {status = "Healthy", message = ""}
