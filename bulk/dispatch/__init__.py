"""Sends a batch's triggers, and is the only place that does."""

from bulk.dispatch.core import Dispatch
from bulk.dispatch.stopping import INTERRUPTS, Stopping
from bulk.dispatch.terms import DispatchEnd, DispatchSettings, LeaveNow, ProgressLine

__all__ = [
    "INTERRUPTS",
    "Dispatch",
    "DispatchEnd",
    "DispatchSettings",
    "LeaveNow",
    "ProgressLine",
    "Stopping",
]
