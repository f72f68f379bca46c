"""Is a package for this base? Read-only: nothing of the model changes, no compiled code runs."""

from __future__ import annotations

from tinypylm.adapters.base import DIMENSIONS, BaseFacts
from tinypylm.adapters.codes import AdapterCode, refusal
from tinypylm.adapters.entries import Entry, PackageFormat
from tinypylm.adapters.package import Package, parse_package
from tinypylm.format import Model, Tensor
from tinypylm.hosts import Buffer

_OTHER_BASE = "Use the package with the model that it was made for, or make it again for this one."


def validate_adapter_delta(model: Model, base: BaseFacts, data: Buffer) -> Package:
    """The package in `data`, which keeps every rule and is for `model`. Raises AdapterError; changes nothing."""
    package = parse_package(data)
    check_base(package, model, base)
    return package


def check_base(package: Package, model: Model, base: BaseFacts) -> None:
    """Raises AdapterError where the package was made for something else than `model`, whose facts are `base`."""
    claimed = package.base
    for name, found, expected in zip(DIMENSIONS, claimed.dimensions, base.dimensions, strict=True):
        if found != expected:
            raise _other(AdapterCode.DIMENSION_MISMATCH, name, found, expected)
    if claimed.tensor_count != base.tensor_count:
        raise _other(AdapterCode.TENSOR_COUNT_MISMATCH, "tensor_count", claimed.tensor_count, base.tensor_count)
    if claimed.layout_checksum != base.layout_checksum:
        raise _other(AdapterCode.LAYOUT_MISMATCH, "layout checksum", f"0x{claimed.layout_checksum:08x}",
                     f"0x{base.layout_checksum:08x}")
    if claimed.tokenizer_checksum != base.tokenizer_checksum:
        raise _other(AdapterCode.TOKENIZER_MISMATCH, "tokenizer checksum", f"0x{claimed.tokenizer_checksum:08x}",
                     f"0x{base.tokenizer_checksum:08x}")
    if claimed.sha256 != base.sha256:
        raise _other(AdapterCode.BASE_MISMATCH, "SHA-256 of the base", claimed.sha256.hex(), base.sha256.hex())
    for entry in package.entries:
        _check_tensor(entry, package.format, model)


def changed_tensor(model: Model, entry: Entry) -> Tensor:
    """The tensor that an entry changes. Raises AdapterError (AdapterUnknownTensor)."""
    try:
        return model.tensor(entry.role, entry.layer)
    except KeyError:
        raise _other(AdapterCode.UNKNOWN_TENSOR, "an entry", entry.name, "a tensor of the model") from None


def _check_tensor(entry: Entry, kind: PackageFormat, model: Model) -> None:
    tensor = changed_tensor(model, entry)
    shape = (*tensor.shape, 1)[:2]
    if (entry.rows, entry.columns) != shape:
        raise _other(AdapterCode.SHAPE_MISMATCH, entry.name, f"shape ({entry.rows}, {entry.columns})", f"shape {shape}")
    if kind is PackageFormat.ALR1 and len(tensor.shape) != 2:
        raise _other(AdapterCode.NOT_A_MATRIX, entry.name, "factors for a vector", "factors for matrices only")


def _other(code: AdapterCode, where: str, found: object, expected: object) -> Exception:
    return refusal(code, where, found, expected, _OTHER_BASE)
