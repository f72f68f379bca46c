"""`tinypylm adapter apply`: a base and a stack of packages as a new sealed file, without any compiled code."""

from __future__ import annotations

from collections.abc import Sequence

from tinypylm import canonical
from tinypylm.adapters.check import changed_tensor, check_base
from tinypylm.adapters.package import Package
from tinypylm.adapters.stack import effective_scale
from tinypylm.format import parse
from tinypylm_tools.adapters.changes import change, changed_payload, update
from tinypylm_tools.adapters.writer import facts
from tinypylm_tools.model_file import ModelFile
from tinypylm_tools.slm_writer import Payload, TensorKey, assemble


def materialise(base: ModelFile, stack: Sequence[tuple[Package, float | None]], digests: Sequence[str]) -> bytes:
    """The file whose tensors are those of `base` after every package with its scale, in this order

    Its metadata name the base and the packages by digest (`lineage_sha256`). Raises AdapterError, and
    FormatError where that leaves no room in the budget of a file.
    """
    model, base_facts = base.model, facts(base)
    tensors: dict[TensorKey, Payload] = {
        (tensor.role, tensor.layer): Payload(
            tensor.dtype, base.data[tensor.offset : tensor.offset + tensor.payload_bytes]) for tensor in model.tensors}
    for package, scale in stack:
        check_base(package, model, base_facts)
        s = effective_scale(package.scale, scale)
        for entry in package.entries:
            tensor, key = changed_tensor(model, entry), (entry.role, entry.layer)
            changed = changed_payload(tensors[key].data, tensor, update(change(entry, package.format), s))
            tensors[key] = Payload(tensor.dtype, changed)
    lineage = {"base": base.sha256} | {f"adapter_{number}": digest for number, digest in enumerate(digests)}
    header = model.header
    tokenizer = base.data[header.tokenizer_offset : header.tokenizer_end]
    metadata = canonical.dumps(model.metadata | {"lineage_sha256": {**lineage}})
    data = assemble(model.config, tensors, tokenizer, metadata)
    parse(data)
    return data
