"""Data sets that are made into files when a run first needs them: each module has a `write(folder)`.

`pipeline.sources.Prepared` calls it with a new, empty folder, and gives the folder its name when it is whole.
"""
