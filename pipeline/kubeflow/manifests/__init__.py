"""Trainings on several machines, as manifests for the clusters that run them.

tfjob       TFJob of Kubeflow's Training Operator; it writes TF_CONFIG
trainjob    TrainJob of Kubeflow Trainer 2, with the runtime that it refers to; Trainer has none for TensorFlow
customjob   CustomJob of Vertex AI; Vertex writes TF_CONFIG

settings.py    what is asked for, checked
pods.py        what the pods of both kinds for Kubernetes share
render.py      the manifest as text
member.py      what runs in each container: the chief runs the pipeline, the others help it
"""
