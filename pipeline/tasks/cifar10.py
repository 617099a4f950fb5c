"""Which of ten things is in a small photograph?

Run: `python local_runner.py --task cifar10`, which downloads the images through keras.datasets, once.
Offline: `--data FOLDER` with Parquet in folders train and test; columns image (binary: PNG or JPEG), label (string).
Data: CIFAR-10, 60,000 images of 32 x 32 in colour. The folder test is the test split; a
twentieth of train is there to choose settings by.
Expect: an accuracy of 0.85 on the test split after 8 epochs, about 400 seconds of processor time.
Limits: precision is mixed_bfloat16, which takes half the time of float32 on a CPU with AMX. On one without it, compare
with `--set training.precision=float32`.
"""

from pipeline.features import Augment, Image
from pipeline.gates import Evaluation, Gate
from pipeline.labels import MultiClass
from pipeline.models.cnn import Cnn
from pipeline.sources import Prepared
from pipeline.splits import FolderSplit
from pipeline.task import Task
from pipeline.training import Cosine, Sgd, Training

TASK = Task(
    name="cifar10",
    question="Which of ten things is in a small photograph?",
    source=Prepared("pipeline.datasets.keras_images:write_cifar10", name="cifar10"),
    split=FolderSplit(eval=None, test="test", train_parts=19, eval_parts=1),
    label=MultiClass(
        "label",
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        label_smoothing=0.1,
    ),
    features=(Image("image", height=32, width=32, augment=Augment(flip=True, shift=2)),),
    model=Cnn(
        filters=(32, 64, 128, 256),
        convolutions=2,
        pooling="max",
        hidden_units=(),
        l2=2.5e-4,
        mean=(0.5,),
        deviation=(0.25,),
    ),
    training=Training(
        epochs=8,
        batch_size=128,
        validate_every=370,
        optimizer=Sgd(Cosine(0.08, warmup_steps=450), momentum=0.9, nesterov=True),
        precision="mixed_bfloat16",
        seed=1,
    ),
    evaluation=Evaluation(
        metrics=("accuracy", "top_2_accuracy", "cross_entropy", "lowest_recall", "macro_f1", "example_count"),
        slices=("label",),
        gates=(Gate("accuracy", at_least=0.8, no_worse_by=0.02), Gate("lowest_recall", at_least=0.5)),
    ),
)
