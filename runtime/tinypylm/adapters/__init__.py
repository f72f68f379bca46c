"""Adapters: packages of changes to a base's weights, applied in place and taken back bit for bit.

`parse_package` and `validate_adapter_delta` judge bytes; `AdapterStack` changes a loaded model. The byte layout is in
`docs/adapters.md`.
"""

from tinypylm.adapters.base import BaseFacts, base_facts
from tinypylm.adapters.check import check_base, validate_adapter_delta
from tinypylm.adapters.codes import AdapterCode
from tinypylm.adapters.entries import Entry, PackageFormat
from tinypylm.adapters.package import STACK_BYTE_BUDGET, Package, parse_package
from tinypylm.adapters.stack import AdapterStack, Applied

__all__ = [
    "STACK_BYTE_BUDGET", "AdapterCode", "AdapterStack", "Applied", "BaseFacts", "Entry", "Package", "PackageFormat",
    "base_facts", "check_base", "parse_package", "validate_adapter_delta",
]
