"""A Gateway (gateway.networking.k8s.io): a real Envoy, configured by files from Gateways and their routes."""
