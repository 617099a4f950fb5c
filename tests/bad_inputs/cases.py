"""The corpus: what can be wrong with data, and what becomes of it.

Each case has rows with an `id`; those of `ids` come out, those of `bad` go to the quarantine by line and rule, and with
a verdict of "stop" (DataBlocked) or "error" (UsageError) nothing comes out. A file of a case has a header and rows 1,
2, … in lines 2, 3, …, but for the fault.
"""

from tests.bad_inputs import binary, pictures, places, text

CASES = (*text.TEXT, *text.JSON, *binary.COMPRESSED, *binary.BINARY, *pictures.IMAGES, *places.FILES)
