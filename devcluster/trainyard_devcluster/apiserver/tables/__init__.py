"""Tables, as `kubectl get` asks for them: the columns of each kind and how their cells come about."""
