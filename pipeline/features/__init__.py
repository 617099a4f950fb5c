"""The kinds of feature: how a raw column becomes what a model reads.

A feature is one frozen object. It knows its raw column, the name of its transformed column (said nowhere else), what
becomes of missing values, and its encoding. The same TensorFlow Transform graph runs in training and in serving, so
unseen and missing values behave alike in both.
"""

from pipeline.features.augment import Augment
from pipeline.features.base import Feature
from pipeline.features.categorical import Categorical, Hashed, Vocabulary
from pipeline.features.date import Date
from pipeline.features.image import Image
from pipeline.features.numeric import Bucketized, Log, MinMax, Numeric, ZScore
from pipeline.features.raw_text import RawText
from pipeline.features.text import Text

__all__ = [
    "Augment",
    "Bucketized",
    "Categorical",
    "Date",
    "Feature",
    "Hashed",
    "Image",
    "Log",
    "MinMax",
    "Numeric",
    "RawText",
    "Text",
    "Vocabulary",
    "ZScore",
]
