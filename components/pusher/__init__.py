"""Puts a model that passed every gate where a server finds it, whole or not at all."""

from components.pusher.component import Pusher
from components.pusher.executor import Executor

__all__ = ["Executor", "Pusher"]
