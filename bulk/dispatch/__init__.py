"""Sends a batch's triggers: the only place that sleeps and sends."""

from bulk.dispatch.core import Dispatch
from bulk.dispatch.terms import DispatchEnd, DispatchSettings, LeaveNow, ProgressLine

__all__ = ["Dispatch", "DispatchEnd", "DispatchSettings", "LeaveNow", "ProgressLine"]
