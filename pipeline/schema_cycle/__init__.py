"""The life of a curated schema, `schemas/<task>/schema.pbtxt`: drafted, shown, changed by what a run found, reviewed.

draft.py     millrace schema init      from summaries of the columns to a text with comments
table.py     millrace schema show      a row for each column
evidence.py  millrace schema propose   what a run left: quarantined rows, account, statistics, findings
changes.py                             what would let the run's rows pass, with counts and examples
doubts.py                              which of these look like errors
proposal.py  millrace schema accept    saves a proposal beside its run, applies what was reviewed
pbtxt.py                               edits the text where it has to change, and nowhere else

Nothing here imports TFX or TensorFlow: each command answers within a second.
"""
