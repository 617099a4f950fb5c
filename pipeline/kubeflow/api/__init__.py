"""What a compiled pipeline needs from the servers that run it: Kubeflow Pipelines and Vertex AI.

    package.py     a compiled file: what it is, and the checks before anything is sent
    parameters.py  NAME=VALUE against the parameters that the file declares
    cron.py        a cron expression: checked field by field, its next times, and as each server wants it
    backend.py     what both servers can do, by one interface
    kfp.py         Kubeflow Pipelines, by its own generated client; kfp_http.py has its time-outs, token and faults
    vertex.py      Vertex AI, by Google's client
    retrying.py    requests that are turned away are repeated for a while
    faults.py      what went wrong with a request, as one sentence with the next step
    waiting.py     a run is watched until it ends; its exit code
    scheduling.py  schedules: a name is there once, or is replaced

The clients of both servers take a second to import: only the functions that talk to a server import them.
"""
