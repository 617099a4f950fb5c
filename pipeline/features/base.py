"""What every kind of feature shares: its interface, and raw columns as dense tensors.

TensorFlow is imported inside the methods: listing tasks does not load it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pipeline.errors import TaskError

if TYPE_CHECKING:
    import tensorflow as tf

SchemaType = Literal["FLOAT", "INT", "BYTES"]
Modality = Literal["number", "ids", "text", "image", "string"]
INT_MISSING = -(2**63)
"""What a JSON client sends in the raw-feature signature for a missing integer (float: NaN; string: "")."""


@dataclass(frozen=True)
class Feature:
    """One raw column and what is made of it.

    Attributes:
      name: the raw column.
    """

    name: str
    accepts: ClassVar[tuple[SchemaType, ...]]
    modality: ClassVar[Modality]
    """What a model family can do with it: a number, ids (each of its own meaning), ids in the order of a text, pixels,
    strings as they are."""

    def __post_init__(self) -> None:
        if not self.name:
            raise TaskError(f"{type(self).__name__}: a feature needs a name. Expected a column name. Received: name=''")
        self.check()

    def check(self) -> None:
        """Raises TaskError where a setting is out of its range."""

    @property
    def transformed(self) -> str:
        """Name of the transformed column."""
        return f"{self.name}_xf"

    @property
    def cardinality(self) -> int | None:
        """Number of ids that the feature can take, or None where it yields no ids."""
        return None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what a model reads for one row."""
        return (1,)

    @property
    def dtype(self) -> Literal["float32", "int64", "uint8", "string"]:
        """Of what a model reads."""
        return "float32" if self.cardinality is None else "int64"

    def preprocess(self, column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
        """What `preprocessing_fn` does with the raw column.

        Args:
          column: the raw column, sparse with at most one value a row, or dense of shape [rows] or [rows, 1].

        Returns:
          What a transformed row holds: [rows, *shape], float32 or int64 ids in [0, cardinality); or whatever
          `model_input` undoes.
        """
        raise NotImplementedError

    def model_input(self, transformed: "tf.Tensor") -> "tf.Tensor":
        """What a model reads, from what `preprocess` returned: [rows, *shape] of `dtype`."""
        return transformed

    def augmented(self, values: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
        """What training sees in place of a batch of `model_input`; as it is, unless the feature asks for more.

        Args:
          values: [rows, *shape]; symbolic: a condition on them is `tf.cond` or `tf.where`, not `if`.
          seed: int64, [2], another in each step: the same seed gives the same values.
        """
        return values

    def require(self, ok: bool, rule: str, **received: object) -> None:
        """Raises TaskError with the feature, the rule and what was received, unless ok."""
        if not ok:
            got = ", ".join(f"{name}={value!r}" for name, value in received.items())
            raise TaskError(f"feature {self.name!r} ({type(self).__name__}): {rule}. Received: {got}")


def _dense(column: "tf.Tensor | tf.SparseTensor", default: object) -> "tf.Tensor":
    """Shape [rows], `default` where a row has no value."""
    import tensorflow as tf

    if isinstance(column, tf.SparseTensor):
        rows = column.dense_shape[0]
        column = tf.sparse.to_dense(tf.SparseTensor(column.indices, column.values, [rows, 1]), default)
    return tf.reshape(column, [-1])


def dense(column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
    """Shape [rows]: float32, NaN where missing, of numbers; strings, "" where missing, of text."""
    import tensorflow as tf

    return dense_strings(column) if column.dtype == tf.string else dense_floats(column)


def dense_floats(column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
    """Shape [rows], float32, NaN where missing. Integers lose precision beyond 2^24."""
    import tensorflow as tf

    if column.dtype.is_integer:
        values = _dense(column, INT_MISSING)
        return tf.where(tf.equal(values, INT_MISSING), float("nan"), tf.cast(values, tf.float32))
    return tf.cast(_dense(column, float("nan")), tf.float32)


def dense_integers(column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
    """Shape [rows], int64, INT_MISSING where missing."""
    import tensorflow as tf

    return tf.cast(_dense(column, INT_MISSING), tf.int64)


def dense_strings(column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
    """Shape [rows], string, empty where missing; integers in decimal."""
    import tensorflow as tf

    if column.dtype.is_integer:
        values = dense_integers(column)
        return tf.where(tf.equal(values, INT_MISSING), "", tf.strings.as_string(values))
    return _dense(column, "")
