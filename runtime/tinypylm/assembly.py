"""An entry of the registry in the engine: verified, loaded, its adapters applied - all of it, or no model at all."""

from __future__ import annotations

from tinypylm.canonical import JsonObject
from tinypylm.diagnostics import Figures
from tinypylm.engine import Emitted
from tinypylm.errors import SlmError
from tinypylm.memory import KVCache
from tinypylm.provenance.fingerprint import f32_of_bits
from tinypylm.provenance.registry import PHASES
from tinypylm.selector import Files, verify_assembly
from tinypylm.session import Known, Session
from tinypylm.source import HashedFile

_FIRST_ADAPTER = PHASES.index("apply-adapter-stack-0")


def assemble(
    session: Session, name: str, files: Files, kv_cache: KVCache = KVCache.F32, model: HashedFile | None = None,
    module: Emitted | None = None,
) -> Figures:
    """Loads the model of the entry `name` with its stack, in the order of the entry.

    files: exactly those that its plan names, by component; model as in `verify_assembly`; module as in `Known`. Raises
    SlmError, whose detail has `phase` and `step` where evidence or an adapter is refused. Refused evidence leaves the
    session as it was; a model or an adapter that the engine refuses leaves none.
    """
    assembly = verify_assembly(name, files, model=model)
    sha256 = bytes.fromhex(assembly.planned.pins["model"].sha256)
    known = Known(assembly.model, sha256, str(assembly.records["manifest"]["tensor_checksum"]), module)
    figures = session.load(model.data if model else files["model"], kv_cache, known)
    try:
        for index, adapter in enumerate(assembly.planned.stack):
            figures = session.apply_adapter(files[f"adapter-{index}-package"], _scale(adapter))
    except SlmError as error:
        session.free()
        error.detail |= {"phase": PHASES[_FIRST_ADAPTER + index], "step": f"adapter-{index}"}
        raise
    return figures


def _scale(adapter: JsonObject) -> float:
    return f32_of_bits(str(adapter["scale_bits"]))
