"""What a receipt holds besides names and digests: counts and errors, tensor by tensor and for the whole model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from math import sqrt

from tinypylm import canonical
from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.provenance.fingerprint import f32_bits
from tinypylm.provenance.operators import PPM
from tinypylm_tools.breeding import thinning
from tinypylm_tools.breeding.blending import Digests, Trace
from tinypylm_tools.breeding.joining import Votes
from tinypylm_tools.breeding.parameters import Parameters
from tinypylm_tools.breeding.parents import Parent
from tinypylm_tools.breeding.stored import StoredTensor, StoringLoss

_VOTING = frozenset({"sign-merge", "della"})


class Evidence:
    """Gathers `tensors` and, once the digests are closed, `measures`."""

    def __init__(self, operator: str, chosen: Parameters, lineage: JsonObject, parents: Sequence[Parent]):
        self.tensors: list[JsonValue] = []
        self._operator, self._chosen, self._lineage = operator, chosen, lineage
        self._sha256 = [parent.sha256 for parent in parents]
        self._nonzero, self._kept = [0] * len(parents), [0] * len(parents)
        self._elements = self._changed = 0
        self._votes = Votes()
        self._digests: Digests | None = None

    def crossed(self, child: StoredTensor, taken: tuple[int, int]) -> None:
        """Notes a tensor whose elements come from two parents."""
        self._elements += child.elements
        self._kept = [count + more for count, more in zip(self._kept, taken, strict=True)]
        self.tensors.append({"tensor": child.name, "elements": child.elements, "taken": list(taken)})

    def blended(self, child: StoredTensor, trace: Trace, loss: StoringLoss) -> None:
        """Notes a computed tensor."""
        self._elements += child.elements
        self._changed += loss.changed
        self._nonzero = [count + more for count, more in zip(self._nonzero, trace.nonzero, strict=True)]
        self._kept = [count + more for count, more in zip(self._kept, trace.kept, strict=True)]
        for outcome, count in asdict(trace.votes).items():
            setattr(self._votes, outcome, getattr(self._votes, outcome) + count)
        self.tensors.append({
            "tensor": child.name, "elements": child.elements, "changed": loss.changed,
            "largest_error_bits": f32_bits(loss.largest), "rms_error_bits": f32_bits(loss.rms),
            "parents": [{"nonzero": nonzero, "kept": kept}
                        for nonzero, kept in zip(trace.nonzero, trace.kept, strict=True)],
            **self._of_tensor(trace)})

    def close(self, digests: Digests) -> None:
        self._digests = digests

    def measures(self) -> JsonObject:
        """What holds for all tensors together."""
        if self._digests is None:
            return {"parents": [{"elements": kept, "keep_ppm": kept * PPM // self._elements} for kept in self._kept]}
        shares: list[JsonValue] = [
            {"nonzero": nonzero, "kept": kept, "density_ppm": kept * PPM // self._elements}
            for nonzero, kept in zip(self._nonzero, self._kept, strict=True)]
        return {"changed": self._changed, "parents": shares, **self._of_operator(self._digests)}

    def _of_tensor(self, trace: Trace) -> JsonObject:
        if self._operator in _VOTING:
            return {"votes": {**asdict(trace.votes)}}
        if self._operator == "magnitude-prune":
            largest = trace.largest_magnitude
            return {"max_magnitude_bits": f32_bits(largest), "floor_threshold_bits": f32_bits(
                thinning.floor_threshold(largest, self._chosen.floor_ppm))}
        return {}

    def _of_operator(self, digests: Digests) -> JsonObject:
        """What only this operator's receipt holds."""
        extras: dict[str, JsonObject] = {
            "sparse-task-delta": {"selection_metric": "magnitude"},
            "magnitude-prune": {"pruned": self._elements - self._kept[0]},
            "dare": {
                "drop_ppm": PPM - self._chosen.keep_ppm,
                "raw_delta_checksums": [digest.hexdigest() for digest in digests.raw],
                "rescaled_delta_checksums": [digest.hexdigest() for digest in digests.thinned]},
            "federated": {
                "parameter_count": self._elements, "changed_density_ppm": self._changed * PPM // self._elements,
                "weighted_delta_checksum": digests.joined.hexdigest()},
            "sign-merge": {
                "recipe_checksum": self._recipe(), "votes": {**asdict(self._votes)},
                "relatedness": self._relatedness(digests.products)},
            "della": {"votes": {**asdict(self._votes)}},
        }
        return extras.get(self._operator, {})

    def _recipe(self) -> str:
        """SHA-256 of operator, version, parameters and parents, as canonical JSON."""
        keys = ("operator", "operator_version", "parameters", "parents")
        return sha256(canonical.dumps({key: self._lineage[key] for key in keys})).hexdigest()

    def _relatedness(self, products: list[list[float]]) -> list[JsonValue]:
        """The cosine between the trimmed deltas of each two parents, over the whole model."""
        pairs: list[JsonValue] = []
        for row in range(len(products)):
            for column in range(row):
                lengths = sqrt(products[row][row]) * sqrt(products[column][column])
                cosine = products[row][column] / lengths if lengths else 0.0
                pairs.append({"first": self._sha256[column], "second": self._sha256[row],
                              "cosine_ppm": max(-PPM, min(PPM, round(cosine * PPM)))})
        return pairs
