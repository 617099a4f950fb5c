"""Puts a blessed model where a server finds it, whole or not at all."""

from components.pusher.component import Pusher
from components.pusher.executor import Executor

__all__ = ["Executor", "Pusher"]
