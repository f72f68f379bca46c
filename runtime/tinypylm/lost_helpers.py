"""A helper thread that does not come becomes an error that says so; what it was to compute is lost."""

from __future__ import annotations

from tinypylm.errors import EngineError, ErrorCode
from tinypylm.hosts import Export, Instance
from tinypylm.kernels.threads import LOST, PATIENCE_NS


def watched(instance: Instance, name: str, control_at: int) -> Export:
    """The export of that name, which raises EngineError (HelperLost) where it traps because a helper did not come."""
    export = instance.export(name)

    def call(*arguments: float) -> int | float | None:
        try:
            return export(*arguments)
        except instance.trap:
            if any(instance.read(control_at + LOST, 4)):
                raise _lost() from None
            raise

    return call


def _lost() -> EngineError:
    seconds = PATIENCE_NS // 10**9
    return EngineError(
        ErrorCode.HELPER_LOST,
        f"a helper thread did not come to a meeting of all threads within {seconds} seconds: it has died, or other "
        "programs leave it no processor. Load the model again, or use fewer threads",
        {"seconds": seconds},
    )
