"""Evidence on disk: the records beside the models, the ledger and the registry, each replaced whole or not at all.

What the records mean is in `tinypylm.provenance` and `tinypylm.selector`; here are files, locks and time.
"""
