"""Which digit did a hand write? The MNIST database, by a convolutional network.

Run: `python local_runner.py --task mnist`, which downloads the images through keras.datasets, once.
Offline: `--data FOLDER` with Parquet in folders train and test; columns image (binary: PNG or JPEG), label (string).
Data: 70,000 grey images of 28 x 28. The folder test is the test split; a twentieth of train is there
to choose settings by.
Expect: an accuracy of 0.994 on the test split. `mnist_dense` is the same question to a plain network.
Limits: digits are centred and of one size; pictures of other pens and papers are not.
"""

from pipeline.features import Augment, Image
from pipeline.gates import Evaluation, Gate
from pipeline.labels import MultiClass
from pipeline.models.cnn import Cnn
from pipeline.sources import Prepared
from pipeline.splits import FolderSplit
from pipeline.task import Task
from pipeline.training import Adam, Cosine, Training

TASK = Task(
    name="mnist",
    question="Which digit did a hand write?",
    source=Prepared("pipeline.datasets.keras_images:write_mnist", name="mnist"),
    split=FolderSplit(eval=None, test="test", train_parts=19, eval_parts=1),
    label=MultiClass("label", classes=10),
    features=(Image("image", height=28, width=28, channels=1, augment=Augment(shift=2)),),
    model=Cnn(filters=(32, 64, 128), hidden_units=(128,), dropout=0.3),
    training=Training(
        epochs=5, batch_size=128, validate_every=450, optimizer=Adam(Cosine(2e-3, warmup_steps=100)), seed=1
    ),
    evaluation=Evaluation(
        metrics=("accuracy", "cross_entropy", "lowest_recall", "macro_f1", "example_count"),
        slices=("label",),
        gates=(Gate("accuracy", at_least=0.985, no_worse_by=0.005), Gate("lowest_recall", at_least=0.96)),
    ),
)
