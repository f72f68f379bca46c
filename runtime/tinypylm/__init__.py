"""TinyPyLM: small language models in a browser tab, in Python that compiles itself to WebAssembly."""

__version__ = "0.1.0"
