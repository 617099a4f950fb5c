"""Batch prediction: files of any size in, an answer or an error for each row out.

Read in this order:

    request.py   what is asked: model, data, place, keys
    served.py    which model answers
    models.py    its answers to typed columns; a row that it fails on costs only itself
    inputs.py    which files; their columns against those that the model reads; what of them is kept
    layout.py    the columns of the output, from what is kept and what the model answers
    work.py      one file, batch by batch, to a part of the output, its errors and an account
    place.py     temporary names, the lock, and the renames at the end
    staging.py   where workers write, if that is not beside the place
    run.py       the files through Beam, the parts put together
"""
