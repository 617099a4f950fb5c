"""Why a task failed, where no process of its own says so."""


class TaskFailed(Exception):
    """A task can't be run, or what it gave can't be read; the message is for the user."""
