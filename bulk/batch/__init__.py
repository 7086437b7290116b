"""A batch as a whole: chosen or created, run in one process or in virtual time, reported.

folder         names and paths below `reports/`; files written whole or not at all
choosing       decides which batch to run; creates new ones
other_batches  the other batches of a folder: unfinished ones, and the runs they claim
running        one process's session: from the journal to the reports
batch_runner   dispatch and reconciliation, in alternation
virtual        the same session in virtual time, against the sandbox's model
salvage        saves what a damaged journal still holds
"""
