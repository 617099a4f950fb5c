"""The pipeline on Kubeflow Pipelines and Vertex AI.

settings.py    what a cluster is told beside the task: image, resources, secrets, retries
spec.py        the graph of nodes -> PipelineSpec;  compile.py writes it for KFP or Vertex AI
container.py   what runs in each container: start.py, node.py, finish.py
execute/       runs a compiled spec on this machine, as the backends do
api/           submits and schedules
manifests/     trainings on several machines
"""
