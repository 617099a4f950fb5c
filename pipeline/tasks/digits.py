"""Which digit is in a small scan of handwriting?

Run: `python local_runner.py --task digits`
Data: the 1,797 scans of 8 x 8 pixels inside scikit-learn, made into PNGs on first use; no download. Seven tenths train,
one is there to choose settings by, two are the test split.
Expect: an accuracy of 0.989 on the test split.
Limits: 13 people wrote these digits, and no split keeps each of them on one side: other hands are harder.
"""

from pipeline.features import Augment, Image
from pipeline.gates import Evaluation, Gate
from pipeline.labels import MultiClass
from pipeline.models.cnn import Cnn
from pipeline.sources import Prepared
from pipeline.splits import HashSplit
from pipeline.task import Task
from pipeline.training import Adam, Cosine, Training

TASK = Task(
    name="digits",
    question="Which digit is in a small scan of handwriting?",
    source=Prepared("pipeline.datasets.digits:write", name="digits"),
    split=HashSplit(train=7, eval=1, test=2),
    label=MultiClass("label", classes=10),
    features=(Image("image", height=8, width=8, channels=1, augment=Augment(shift=1, rotate=8.0, zoom=0.1)),),
    model=Cnn(filters=(32, 64), convolutions=2, hidden_units=(128,), dropout=0.3),
    training=Training(
        epochs=40, batch_size=64, validate_every=100, optimizer=Adam(Cosine(2e-3, warmup_steps=50)), seed=1
    ),
    evaluation=Evaluation(
        metrics=("accuracy", "cross_entropy", "lowest_recall", "macro_f1", "example_count"),
        slices=("label",),
        gates=(Gate("accuracy", at_least=0.96, no_worse_by=0.03), Gate("lowest_recall", at_least=0.85)),
    ),
)
