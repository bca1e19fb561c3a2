"""The tasks, by name: one file for each."""

from __future__ import annotations

import importlib

from tokaudio.errors import UnknownNameError
from tokaudio.probes.tasks.base import Task, TaskOptions

__all__ = ["TASKS", "Task", "TaskOptions", "find_task"]

TASKS = {
    "asr": "asr",
    "ks": "keyword_spotting",
    "ic": "intent",
    "sid": "speaker_id",
    "sv": "speaker_verification",
    "lid": "language_id",
    "er": "emotion",
    "events": "sound_events",
    "genre": "music_genre",
    "lm": "language_model",
    "enhancement": "enhancement",
    "separation": "separation",
    "tts": "text_to_speech",
}
"""Module of each task, by its name."""


def find_task(name: str) -> Task:
    """Return a task by its name.

    Raises:
        UnknownNameError: if there is none of this name.

    Example:
        >>> find_task("ks").title
        'keyword spotting'
    """
    if name not in TASKS:
        raise UnknownNameError(f"no task is named {name!r}; there are {', '.join(TASKS)}")
    task: Task = importlib.import_module(f"tokaudio.probes.tasks.{TASKS[name]}").TASK
    return task
