"""Sends requests, and is the only room that does.

dispatcher      the trio nursery whose workers send a batch's triggers
trigger_queue   the triggers that wait to be sent
stopping        why and how a batch stops before its end
paced_requests  requests that are safe to repeat, at a pace of their own
cancelling      cancels runs
terms           settings, results, and the progress display's interface
"""

from bulk.dispatch.dispatcher import Dispatcher
from bulk.dispatch.stopping import INTERRUPTS, Stopping
from bulk.dispatch.terms import DispatchEnd, DispatchSettings, LeaveNow, ProgressLine

__all__ = [
    "INTERRUPTS",
    "DispatchEnd",
    "DispatchSettings",
    "Dispatcher",
    "LeaveNow",
    "ProgressLine",
    "Stopping",
]
