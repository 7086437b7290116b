"""Sends triggers and other requests, each when its pacing controller permits it.

dispatcher      sends a batch's triggers
trigger_queue   the triggers that wait to be sent
paced_gate      asks the controller when the next request may leave
paced_requests  requests that are safe to repeat, with a gate of their own
cancelling      cancels runs
stopping        why and how a batch stops early
shell           the nursery around all that: progress and interrupts
"""

from bulk.dispatch.dispatcher import DispatchEnd, Dispatcher, DispatchSettings
from bulk.dispatch.shell import LeaveNow, ProgressLine
from bulk.dispatch.stopping import Stopping

__all__ = [
    "DispatchEnd",
    "DispatchSettings",
    "Dispatcher",
    "LeaveNow",
    "ProgressLine",
    "Stopping",
]
