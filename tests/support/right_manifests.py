"""A TrainingJob and a ModelService without a fault, for tests that put one in."""

RIGHT = """\
apiVersion: trainyard.dev/v1alpha1
kind: TrainingJob
metadata: {name: penguins}
spec:
  program:
    keras: {family: mlp, task: multiclassClassification}
  data:
    source: {configMap: {name: penguins, key: penguins.csv}}
    label: species
  fit:
    epochs: 2
  roles:
    worker:
      replicas: 1
  output:
    store: {persistentVolumeClaim: {claimName: models}}
"""
SERVED = """\
apiVersion: trainyard.dev/v1alpha1
kind: ModelService
metadata: {name: penguins}
spec:
  model: {uri: pvc://models/penguins/1}
  replicas: 1
"""
