"""How well the tasks on images and on text predict, each against the figure that it has to reach.

    python -m benchmarks.accuracy --data FOLDER                  all tasks, three seeds: an hour and a half on two cores
    python -m benchmarks.accuracy --task digits --task movie_reviews     what needs no data from elsewhere
    python -m benchmarks.accuracy --task mnist --data FOLDER --seed 1    one task, one seed

FOLDER holds mnist and cifar10, each with train and test, as Parquet of encoded images and labels; without it these are
downloaded through keras.datasets. Every figure is the Evaluator's, of whole runs, on the split that was held out.

movie_reviews has 100 rows, so that one split says little. The split goes by a hash of the row: blanks at the end of a
text change it, and nothing else; and the task is run and measured once for each of several numbers of blanks. TF-IDF
with a logistic regression learns from and is measured on the same rows each time: scikit-learn's TfidfVectorizer and
LogisticRegression with their defaults, and with what is usually tuned (pairs of words, rare ones left out, sublinear
counts, C=10).
"""

import csv
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline

from benchmarks.linear import read_split
from benchmarks.measure import machine
from benchmarks.quality import summary
from benchmarks.sides import Run, SideError, Training, run_ours
from pipeline.sources import bundled_movie_reviews

REQUIRED = {"digits": 0.98, "mnist_dense": 0.978, "mnist": 0.992, "cifar10": 0.838}
"""Task -> the mean accuracy on its test split that it has to reach."""
_REVIEWS = "movie_reviews"
_FOLDERS = {"mnist": "mnist", "mnist_dense": "mnist", "cifar10": "cifar10"}
_EVALUATED = ("pushed", "not_blessed")


def main(
    task: Annotated[list[str] | None, typer.Option(help="Only these tasks (repeatable).")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with mnist and cifar10; else they are downloaded.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Seeds of the training (repeatable); default 1, 2, 3.")] = None,
    splits: Annotated[int, typer.Option(min=2, help="How many splits of the reviews.")] = 24,
    json_file: Annotated[Path | None, typer.Option("--json", help="Save every figure and the machine here.")] = None,
) -> None:
    """Runs the tasks and prints means; exits with 1 where one is below its figure."""
    console = Console()
    known = [*REQUIRED, _REVIEWS]
    chosen = task or known
    if unknown := sorted(set(chosen) - set(known)):
        raise typer.BadParameter(f"expected some of {', '.join(known)}. Received: {', '.join(unknown)}")
    seeds = seed or [1, 2, 3]
    images: dict[str, list[Run]] = {}
    reviews: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="millrace-accuracy-") as folder:
        work = Path(folder)
        try:
            for name in (name for name in chosen if name != _REVIEWS):
                given = data / _FOLDERS[name] if data and name in _FOLDERS else None
                for number in seeds:
                    at = work / f"{name}-{number}"
                    images.setdefault(name, []).append(
                        run_ours(name, given, at, Training(seed=number), outcomes=_EVALUATED)
                    )
                    console.print(f"{name}, seed {number}: {images[name][-1].metrics['accuracy']:.4f}")
            if _REVIEWS in chosen:
                reviews = compare_reviews(work, splits, console)
        except SideError as error:
            console.print(str(error), style="red", markup=False)
            raise typer.Exit(1) from error
    if images:
        console.print(image_table(images, seeds))
    if reviews:
        console.print(review_table(reviews))
    if json_file:
        runs = {name: [asdict(run) for run in done] for name, done in images.items()}
        figures = {"machine": machine(), "seeds": seeds, "runs": runs, _REVIEWS: reviews}
        json_file.write_text(json.dumps(figures, indent=2) + "\n")
    if not reached(images, reviews):
        raise typer.Exit(1)


def compare_reviews(work: Path, splits: int, console: Console) -> dict[str, list[dict[str, float]]]:
    """Side -> accuracy and AUC on each split.

    Args:
        work: an empty folder.
        splits: how many.
        console: told of each.

    Raises:
        SideError: a run failed.
    """
    sides: dict[str, list[dict[str, float]]] = {"ours": [], **{name: [] for name in baselines()}}
    for number in range(splits):
        at = work / f"reviews-{number}"
        file = at / "data" / "reviews.csv"
        respaced(Path(bundled_movie_reviews()), file, number)
        run = run_ours(_REVIEWS, file.parent, at, Training(seed=1), outcomes=_EVALUATED)
        train, held_out = read_split(at / "root", "train"), read_split(at / "root", "eval")
        if run.metrics["example_count"] != len(held_out):
            raise SideError(f"the sides can't be compared. Expected {len(held_out)} rows. Received: {run.metrics}")
        sides["ours"].append({"accuracy": run.metrics["binary_accuracy"], "auc": run.metrics["auc"]})
        for name, model in baselines().items():
            sides[name].append(baseline(model, train, held_out))
        console.print(f"{_REVIEWS}, split {number}: " + ", ".join(f"{n} {s[-1]['auc']:.3f}" for n, s in sides.items()))
    return sides


def respaced(source: Path, file: Path, blanks: int) -> None:
    """Copies the reviews, with blanks after each text: no word differs, and the split is another."""
    with source.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    file.parent.mkdir(parents=True)
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, ["label", "text"])
        writer.writeheader()
        writer.writerows({"label": row["label"], "text": row["text"] + " " * blanks} for row in rows)


def baselines() -> dict[str, Pipeline]:
    """What movie_reviews has to beat, and what it would be nice to beat."""
    tuned = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    return {
        "TF-IDF + LR": make_pipeline(TfidfVectorizer(), LogisticRegression()),
        "the same, tuned": make_pipeline(tuned, LogisticRegression(C=10)),
    }


def baseline(model: Pipeline, train: pd.DataFrame, held_out: pd.DataFrame) -> dict[str, float]:
    """Fits on one split and measures on the other.

    Args:
        model: from texts to a class, 0 or 1.
        train: columns text and label.
        held_out: likewise.
    """
    model.fit(train["text"], train["label"])
    good = model.predict_proba(held_out["text"])[:, 1]
    return {
        "accuracy": float(((good > 0.5) == held_out["label"]).mean()),
        "auc": float(roc_auc_score(held_out["label"], good)),
    }


def image_table(runs: dict[str, list[Run]], seeds: Sequence[int]) -> Table:
    """Accuracy and what the training took, a row a task."""
    title = f"accuracy on the test split, mean over seeds {', '.join(map(str, seeds))} (lowest to highest)"
    shown = Table("task", title=title, title_justify="left")
    for column in ("accuracy", "has to reach", "rows", "Trainer, s", "whole run, processor s"):
        shown.add_column(column, justify="right")
    for name, done in runs.items():
        shown.add_row(
            name,
            summary([run.metrics["accuracy"] for run in done]),
            f"{REQUIRED[name]:.3f}",
            f"{done[0].metrics['example_count']:,.0f}",
            f"{mean(run.nodes['Trainer'] for run in done):,.0f}",
            f"{mean(run.cpu_seconds for run in done):,.0f}",
        )
    return shown


def review_table(sides: dict[str, list[dict[str, float]]]) -> Table:
    """Mean and standard deviation over the splits, and how often a side was better than ours."""
    count = len(sides["ours"])
    shown = Table("", title=f"movie_reviews, mean over {count} splits ± standard deviation", title_justify="left")
    for side in sides:
        shown.add_column(side, justify="right")
    for metric in ("accuracy", "auc"):
        values = {side: [found[metric] for found in results] for side, results in sides.items()}
        shown.add_row(metric, *(f"{mean(of):.3f} ± {stdev(of):.3f}" for of in values.values()))
        wins = (sum(a > b for a, b in zip(of, values["ours"], strict=True)) for of in values.values())
        shown.add_row(f"  splits with more {metric} than ours", *map(str, wins))
    return shown


def reached(images: dict[str, list[Run]], reviews: dict[str, list[dict[str, float]]]) -> bool:
    """Whether every mean is at its figure, and ours above TF-IDF with a logistic regression as it comes."""
    high = all(mean(run.metrics["accuracy"] for run in runs) >= REQUIRED[name] for name, runs in images.items())
    if not reviews:
        return high
    means = {
        (side, metric): mean(found[metric] for found in reviews[side])
        for side in ("ours", "TF-IDF + LR")
        for metric in ("accuracy", "auc")
    }
    return high and all(means["ours", metric] > means["TF-IDF + LR", metric] for metric in ("accuracy", "auc"))


if __name__ == "__main__":
    typer.run(main)
