"""Evidence: records with closed schemas and content identifiers, from which the chain to the selector is built.

    compatibility -> lineage -> receipt -> candidate -> evaluation -> promotion -> admission -> ledger -> registry

Only meaning is here: files, locks and time belong to `tinypylm_tools.evidence`.
"""

from tinypylm.provenance.codes import ProvenanceCode
from tinypylm.provenance.records import RecordKind, check, dump, identifier, load

__all__ = ["ProvenanceCode", "RecordKind", "check", "dump", "identifier", "load"]
