"""A code generator for WebAssembly: opcode table, binary encoding, and a typed, structured kernel builder."""
