"""Tracking: evaluations and trainings as MLflow runs, snapshots as registered models.

All of it lies in a folder of this machine, and no telemetry is sent.
"""

from experiments.tracking.answers import Question, keep_answer, record_answer
from experiments.tracking.environment import environment
from experiments.tracking.evaluations import EXPERIMENT, record
from experiments.tracking.models import Model, find_model, list_models, promote, register
from experiments.tracking.place import NoTrack, Place, Track, place_of
from experiments.tracking.store import DATABASE, open_store, open_tracking, record_run
from experiments.tracking.training import TRAININGS, Training, record_demo, record_training

__all__ = [
    "DATABASE",
    "EXPERIMENT",
    "TRAININGS",
    "Model",
    "NoTrack",
    "Place",
    "Question",
    "Track",
    "Training",
    "environment",
    "find_model",
    "keep_answer",
    "list_models",
    "open_store",
    "open_tracking",
    "place_of",
    "promote",
    "record",
    "record_answer",
    "record_demo",
    "record_run",
    "record_training",
    "register",
]  # fmt: skip
