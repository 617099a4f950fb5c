"""What will a Chicago taxi trip cost, in dollars?

Run: `python local_runner.py --task taxi_fare`
Data: 15,002 trips of 2013-2016 that the tfx wheel ships; two thirds train, one third evaluates.
Limits: the label is clipped to 0-100 dollars; a few trips in the data have fares of hundreds for no distance.
"""

from pipeline.features import Bucketized, Categorical, Log, Numeric, Vocabulary
from pipeline.gates import Evaluation, Gate
from pipeline.labels import Regression
from pipeline.models.wide_deep import WideDeep
from pipeline.sources import Csv, bundled_taxi_trips
from pipeline.splits import HashSplit
from pipeline.task import Task
from pipeline.training import Adam, EarlyStopping, Training

TASK = Task(
    name="taxi_fare",
    question="What will a Chicago taxi trip cost, in dollars?",
    source=Csv(bundled_taxi_trips()),
    split=HashSplit(train=2, eval=1),
    label=Regression("fare", loss="huber", clip=(0.0, 100.0)),
    features=(
        Numeric("trip_miles", scale=Log(), clip=(0.0, 200.0)),
        Numeric("trip_seconds", scale=Log(), missing="median", clip=(0.0, 20_000.0)),
        Bucketized("pickup_latitude", buckets=20),
        Bucketized("pickup_longitude", buckets=20),
        Bucketized("dropoff_latitude", buckets=20),
        Bucketized("dropoff_longitude", buckets=20),
        Vocabulary("company", top_k=100, oov_buckets=5),
        Categorical("pickup_community_area", size=78),
        Categorical("dropoff_community_area", size=78),
        Categorical("trip_start_hour", size=24),
        Categorical("trip_start_day", size=8),
        Categorical("trip_start_month", size=13),
    ),
    model=WideDeep(hidden_units=(128, 64, 32), l2=1e-5),
    training=Training(
        steps=2000, batch_size=200, validate_every=200, optimizer=Adam(2e-3), early_stopping=EarlyStopping(patience=3)
    ),
    evaluation=Evaluation(
        metrics=("mae", "rmse", "squared_pearson", "mean_label", "mean_prediction", "example_count"),
        slices=("trip_start_hour", "payment_type"),
        gates=(Gate("mae", at_most=2.0, no_worse_by=0.2), Gate("squared_pearson", at_least=0.8)),
    ),
)
