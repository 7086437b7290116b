"""Sends a batch's triggers: the only place that sleeps and sends."""

from bulk.dispatch.core import Dispatch
from bulk.dispatch.stopping import Stopping
from bulk.dispatch.terms import DispatchEnd, DispatchSettings, LeaveNow, ProgressLine

__all__ = ["Dispatch", "DispatchEnd", "DispatchSettings", "LeaveNow", "ProgressLine", "Stopping"]
