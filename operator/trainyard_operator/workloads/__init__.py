"""What training and serving share: how a spec is read, how a pod is built, and what keeps a pod from running."""
