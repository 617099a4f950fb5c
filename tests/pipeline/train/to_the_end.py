"""Trains as a job file says and writes what came out: a process for `test_resume` to kill.

python to_the_end.py JOB.json OUT.npz
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow_transform as tft

from pipeline.train import job as jobs
from pipeline.train.fit import Data, fit

job = jobs.read(Path(sys.argv[1]))
fitted = fit(
    job.task,
    Data(job.train_files, job.eval_files, tft.TFTransformOutput(job.transform)),
    log_dir=job.log_dir,
    checkpoints=Path(str(job.checkpoints)),
)
history = json.dumps([[validation.step, validation.values] for validation in fitted.history])
np.savez(sys.argv[2], *fitted.model.get_weights(), history=np.array([fitted.best_step, history]))
