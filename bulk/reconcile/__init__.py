"""Reconciles triggers whose answers were lost with the server's list of runs.

Pure rules, which know no clock, socket or file:

run_page      reads a page of `GET /v1/runs`, whatever the server sends
listing       all pages of one reading, and what they prove
likeness      whether a run can be the one a trigger asked for
server_clock  when, on the server's clock, an attempt's run can have been created
rules         found, missing or undecided
surplus       runs that no trigger owns
evidence      how far the evidence on each test has come

The shell around them:

run_lister    reads the server's lists of runs
claims        which runs another batch owns or may have made
reconciler    one reconciliation: list, wait, list again
"""
