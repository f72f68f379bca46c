"""The `.slm` file: `parse` is the one entrance, and every refusal is a `FormatError` with a `FormatCode`.

The byte layout is in `docs/format.md`. Files are written by `tinypylm_tools.slm_writer`.
"""

from tinypylm.format.codes import FormatCode
from tinypylm.format.extent import MODEL_BYTE_BUDGET, checked_extent
from tinypylm.format.header import HEADER_BYTES, Header, parse_header
from tinypylm.format.parser import Model, parse
from tinypylm.format.tensors import Tensor, tensor_name
from tinypylm.format.vocabulary import PreTokenizer, TokenKind, Vocabulary

__all__ = [
    "HEADER_BYTES", "MODEL_BYTE_BUDGET", "FormatCode", "Header", "Model", "PreTokenizer", "Tensor", "TokenKind",
    "Vocabulary", "checked_extent", "parse", "parse_header", "tensor_name",
]
