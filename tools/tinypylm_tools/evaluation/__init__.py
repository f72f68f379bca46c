"""Evaluation: suites of cases and held-out texts as files, run on the real engine; what came of it, as a record.

What the rows amount to (tallies, claims, comparison) is in `tinypylm.provenance.scores`, where verifiers find it.
"""
