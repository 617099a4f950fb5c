"""How far metrics would move on other rows, without resampling: the infinitesimal jackknife (Jaeckel 1972; Efron 1982, ch. 6).

A metric is taken as linear in the weights of the rows, near weights of 1: `value + sum of influence x (weight - 1)`. Where
weights are drawn as `pipeline.evidence.bootstrap` does, independently and with variance 1, its standard error is the root
of the sum of squared influences. That is the limit of the bootstrap for many resamples, but for terms that vanish as rows
become many; for a mean, a share or a ratio it is the delta method, for the area under the ROC curve DeLong's (1988). It
takes one look at the rows in place of a thousand.

The influences of two models on the same rows are subtracted row by row: what makes both right or wrong cancels.
"""

import math

import numpy as np

from pipeline.evidence.bootstrap import KNOWN
from pipeline.evidence.statistic import Statistic


def influence(statistic: Statistic) -> np.ndarray | None:
    """The influence of each row, [rows]; None where too many resamples would not have the metric at all.

    A kind of row of which there are n is missing from a resample with the chance exp(-n).
    """
    missed = sum(math.exp(-count) for count in statistic.carriers)
    return statistic.influence() if 1 - missed >= KNOWN else None


def standard_error(influences: np.ndarray | None) -> float:
    """Of the metric whose influences these are; NaN where they are unknown."""
    return math.nan if influences is None else math.sqrt(influences @ influences)
