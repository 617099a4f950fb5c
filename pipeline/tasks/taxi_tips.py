"""Will a Chicago taxi trip be tipped more than 20 % of its fare?

Run: `python local_runner.py --task taxi_tips`
Data: 15,002 trips of 2013-2016 that the tfx wheel ships; two thirds train, one third evaluates.
Limits: tips paid in cash are not in the data, so that the model mostly tells who pays by card and tips as usual.
"""

from pipeline.expressions import Column
from pipeline.features import Bucketized, Categorical, Log, Numeric, Vocabulary
from pipeline.gates import Evaluation, Gate
from pipeline.labels import Binary
from pipeline.models.wide_deep import WideDeep
from pipeline.sources import Csv, bundled_taxi_trips
from pipeline.splits import HashSplit
from pipeline.task import Task
from pipeline.training import Adam, EarlyStopping, Training

TASK = Task(
    name="taxi_tips",
    question="Will a Chicago taxi trip be tipped more than 20 % of its fare?",
    source=Csv(bundled_taxi_trips()),
    split=HashSplit(train=2, eval=1),
    label=Binary.where("tips", greater_than=0.2 * Column("fare")),
    features=(
        Numeric("trip_miles", scale=Log(), clip=(0.0, 200.0)),
        Numeric("trip_seconds", scale=Log(), missing="median"),
        Numeric("fare", scale=Log()),
        Bucketized("pickup_latitude", buckets=10),
        Bucketized("pickup_longitude", buckets=10),
        Bucketized("dropoff_latitude", buckets=10),
        Bucketized("dropoff_longitude", buckets=10),
        Vocabulary("payment_type", top_k=20, oov_buckets=2),
        Vocabulary("company", top_k=100, oov_buckets=5),
        Categorical("trip_start_hour", size=24),
        Categorical("trip_start_day", size=8),
        Categorical("trip_start_month", size=13),
    ),
    model=WideDeep(hidden_units=(100, 70, 50, 25), dropout=0.1, l2=1e-5),
    training=Training(
        steps=1000, batch_size=200, validate_every=200, optimizer=Adam(1e-3), early_stopping=EarlyStopping(patience=3)
    ),
    evaluation=Evaluation(
        metrics=("auc", "auc_pr", "binary_accuracy", "binary_cross_entropy", "calibration", "example_count"),
        slices=("trip_start_hour", "payment_type"),
        gates=(Gate("auc", at_least=0.9, no_worse_by=0.005), Gate("binary_accuracy", at_least=0.8)),
    ),
)
