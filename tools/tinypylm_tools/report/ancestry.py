"""Where a model comes from, as the records of its folder say: a graph of digests, and its picture.

Only the entry's own records are verified; those of its forebears are read as they lie there, and found by digest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tinypylm.canonical import JsonObject
from tinypylm.errors import ProvenanceError, ToolError
from tinypylm.provenance.derivation import Stacked
from tinypylm.provenance.schema import fields, items
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.report.markup import Markup, element, joined, shortened
from tinypylm_tools.report.plots import words

_BOX, _TALL, _ACROSS, _DOWN, _MARGIN = 196, 48, 216, 104, 8
_CHARACTERS = 26


@dataclass(frozen=True, slots=True)
class Node:
    """A model, an adapter or an entry; `parents` are (role, key), and most keys are digests."""

    key: str
    name: str
    made_by: str
    parents: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """The models that a folder has evidence of, by the digest of their file: name and receipt."""

    models: Mapping[str, tuple[str, JsonObject]]

    @classmethod
    def of(cls, folder: Folder) -> Known:
        """A file with several entries is called as its file is, where an entry is. Unreadable records are left out."""
        found: dict[str, tuple[str, JsonObject]] = {}
        for name in folder.names():
            try:
                manifest, receipt = folder.load("manifest", name), folder.load("receipt", name)
            except (ToolError, ProvenanceError):
                continue
            digest = str(manifest["sha256"])
            if digest not in found or manifest["file"] == f"{name}.slm":
                found[digest] = name, receipt
        return cls(found)

    def name(self, digest: str) -> str:
        return self.models[digest][0] if digest in self.models else f"{digest[:12]}.."


def ancestry(known: Known, entry: str, receipt: JsonObject, stack: Sequence[Stacked]) -> list[Node]:
    """The entry first, then everything that it was made of, each once."""
    adapters = {str(one.manifest["sha256"]): _adapter(one) for one in stack}
    sha256 = str(fields(receipt["output"])["sha256"])
    root = _model(sha256, entry, receipt)
    if stack:
        parents = (("model", sha256), *(("adapter", digest) for digest in adapters))
        root = Node(entry, entry, f"{len(stack)} attached", parents)
    nodes, waiting = {root.key: root}, [key for _, key in root.parents]
    while waiting:
        key = waiting.pop(0)
        if key not in nodes:
            nodes[key] = adapters.get(key) or _known_model(known, key)
            waiting += [parent for _, parent in nodes[key].parents]
    return [*nodes.values()]


def _known_model(known: Known, digest: str) -> Node:
    name, receipt = known.models.get(digest, (known.name(digest), None))
    return _model(digest, name, receipt) if receipt else Node(digest, name, "no record here")


def _model(digest: str, name: str, receipt: JsonObject) -> Node:
    return Node(digest, name, str(receipt["operator"]), _cited(receipt, "parents"))


def _adapter(adapter: Stacked) -> Node:
    receipt = adapter.receipt
    return Node(str(adapter.manifest["sha256"]), str(adapter.manifest["name"]),
                f"{adapter.manifest['format']}, {receipt['operator']}", _cited(receipt, "sources"))


def _cited(receipt: JsonObject, key: str) -> tuple[tuple[str, str], ...]:
    return tuple((str(one["role"]), str(one["sha256"])) for one in map(fields, items(receipt[key])))


def generations(nodes: Sequence[Node]) -> list[list[Node]]:
    """The oldest first; a node stands above everything made from it. Ends also where records cite in a circle."""
    depth = {node.key: 0 for node in nodes}
    for _ in nodes:
        for node in nodes:
            for _, parent in node.parents:
                depth[parent] = min(max(depth[parent], depth[node.key] + 1), len(nodes))
    levels = sorted(set(depth.values()), reverse=True)
    return [[node for node in nodes if depth[node.key] == level] for level in levels]


def drawn(nodes: Sequence[Node]) -> Markup:
    """The graph, forebears above."""
    rows = generations(nodes)
    width = _ACROSS * max(map(len, rows))
    places = {node.key: ((width - _ACROSS * len(row)) / 2 + _ACROSS * column + (_ACROSS - _BOX) / 2,
                         _MARGIN + _DOWN * level)
              for level, row in enumerate(rows) for column, node in enumerate(row)}
    height = 2 * _MARGIN + _DOWN * (len(rows) - 1) + _TALL
    lines = [line for node in nodes for line in _lines(node, places)]
    boxes = [_box(node, *places[node.key], is_entry=node is nodes[0]) for node in nodes]
    return element("svg", joined([*lines, *boxes]), viewBox=f"0 0 {width} {height}", role="img", aria_label="lineage",
                   style=f"max-width:{width}px")


def _lines(node: Node, places: Mapping[str, tuple[float, float]]) -> Iterator[Markup]:
    """From each parent down to the node, with the part that it plays; beside the node where boxes lie between."""
    x, y = places[node.key]
    for role, parent in node.parents:
        start, end, top = places[parent][0] + _BOX / 2, x + _BOX / 2, places[parent][1] + _TALL
        middle, is_next = (top + y) / 2, y - top < _DOWN
        yield element("path", d=f"M{start:.1f} {top:.1f}C{start:.1f} {middle:.1f} {end:.1f} {middle:.1f} "
                      f"{end:.1f} {y:.1f}", class_="edge")
        x_of_role = end + (start - end) * (0.3 if is_next else 0.02)
        yield words(x_of_role + 5, middle + 4 if is_next else y - 8, role)


def _box(node: Node, x: float, y: float, *, is_entry: bool) -> Markup:
    frame = element("rect", x=float(x), y=float(y), width=_BOX, height=_TALL, rx=6,
                    class_="entry" if is_entry else "node")
    name = element("text", shortened(node.name, _CHARACTERS), x=x + 10, y=y + 20, class_="name")
    below = f"{node.key[:8]}, {node.made_by}" if node.key != node.name else node.made_by
    return element("g", element("title", f"{node.name} {node.key}"), frame, name,
                   words(x + 10, y + 38, shortened(below, 30)))
