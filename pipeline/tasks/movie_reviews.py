"""Is a movie review a good one?

Run: `python local_runner.py --task movie_reviews`
Data: the 100 labelled reviews inside the tfx wheel; three quarters train, one is evaluated.
Expect: an accuracy of 0.69 and an AUC of 0.71, on average over other splits of the same 100; with 26 reviews to measure
on, a single split is often 0.08 above or below.
Limits: 100 reviews are an example, not a product: `--data` takes a CSV of your own with the columns text and label.
"""

from pipeline.features import Text
from pipeline.gates import Evaluation, Gate
from pipeline.labels import Binary
from pipeline.models.text_bag import TextBag
from pipeline.sources import Csv, bundled_movie_reviews
from pipeline.splits import HashSplit
from pipeline.task import Task
from pipeline.training import Adam, Training

TASK = Task(
    name="movie_reviews",
    question="Is a movie review a good one?",
    source=Csv(bundled_movie_reviews()),
    split=HashSplit(train=3, eval=1),
    label=Binary("label"),
    features=(Text("text", ngrams=(1, 3), min_frequency=2, length=2000),),
    model=TextBag(),
    training=Training(steps=300, batch_size=75, validate_every=100, optimizer=Adam(0.01), class_weights="balanced"),
    evaluation=Evaluation(
        metrics=("auc", "binary_accuracy", "binary_cross_entropy", "calibration", "example_count"),
        slices=(),
        gates=(Gate("auc", at_least=0.5),),
    ),
)
