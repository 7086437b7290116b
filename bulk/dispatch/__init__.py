"""Sends a batch's triggers: the only place that sleeps and sends."""

from bulk.dispatch.core import Dispatch, DispatchEnd, DispatchSettings, LeaveNow, ProgressLine

__all__ = ["Dispatch", "DispatchEnd", "DispatchSettings", "LeaveNow", "ProgressLine"]
