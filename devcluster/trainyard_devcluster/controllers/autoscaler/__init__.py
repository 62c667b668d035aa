"""HorizontalPodAutoscalers (autoscaling/v2), by the algorithm of Kubernetes' documentation."""
