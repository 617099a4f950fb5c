"""Which digit did a hand write? The MNIST database, by a network of dense layers.

Run: `python local_runner.py --task mnist_dense`; for data see the task mnist.
Data: 70,000 grey images of 28 x 28. The folder test is the test split; a twentieth of train is there
to choose settings by.
Expect: an accuracy of 0.983 on the test split after 5 epochs.
Limits: it learns where ink is, not strokes: a digit that is moved by three pixels is another one to it.
"""

from pipeline.features import Image
from pipeline.gates import Evaluation, Gate
from pipeline.labels import MultiClass
from pipeline.models.dnn import Dnn
from pipeline.sources import Prepared
from pipeline.splits import FolderSplit
from pipeline.task import Task
from pipeline.training import Cosine, RmsProp, Training

TASK = Task(
    name="mnist_dense",
    question="Which digit did a hand write?",
    source=Prepared("pipeline.datasets.keras_images:write_mnist", name="mnist"),
    split=FolderSplit(eval=None, test="test", train_parts=19, eval_parts=1),
    label=MultiClass("label", classes=10),
    features=(Image("image", height=28, width=28, channels=1),),
    model=Dnn(hidden_units=(512, 512), dropout=0.2),
    training=Training(epochs=5, batch_size=128, validate_every=450, optimizer=RmsProp(Cosine(1e-3)), seed=1),
    evaluation=Evaluation(
        metrics=("accuracy", "cross_entropy", "lowest_recall", "macro_f1", "example_count"),
        slices=("label",),
        gates=(Gate("accuracy", at_least=0.97, no_worse_by=0.0075), Gate("lowest_recall", at_least=0.92)),
    ),
)
