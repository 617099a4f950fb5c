"""What becomes of a model that every gate has let through: versions, their history, the way back, other places.

Read in this order: `settings.py` (what a task says), `versions.py` (the folders), `history.py` (what was served when
and why), `rollback.py`, `load_check.py`, `contract.py`, `targets.py` with `object_store.py` and `vertex.py`, `render.py`.
"""
