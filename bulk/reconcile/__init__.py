"""Reconciles triggers whose answers were lost with the server's list of runs.

Pure rules, which know no clock, socket or file:

run_page      parses a page of `GET /v1/runs`
listing       one listing, page by page, and whether it is evidence
likeness      whether a run can be a trigger's, field by field
server_clock  when, by the server's clock, an attempt's run can have been created
rules         resolves triggers: found, missing or undecided
surplus       runs that no trigger owns

The shell around them:

run_lister    reads listings from the server
claims        which runs another batch owns or may have created
reconciler    one reconciliation: list, wait, list again
"""
