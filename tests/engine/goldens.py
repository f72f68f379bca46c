"""What `transformers` computes for the storyteller; `python -m tests.engine.goldens CHECKPOINT` writes it down.

The numbers are committed, so that the comparison needs neither torch nor the checkpoint; where both are at hand, a test
computes them anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

PROMPTS = (
    "Once upon a time",
    "Lily and Tom went to the park. They saw a",
    "The dog was sad because",
    "One day, a little boy named Tim found a shiny red ball near the big tree in his garden. He",
)
GREEDY_TOKENS = 200
FILE = Path(__file__).parent.parent / "data" / "storyteller-2m.transformers.npz"


def compute(checkpoint: Path) -> dict[str, np.ndarray]:
    """ids.N of each prompt (bos first), logits.N f32[positions, vocab], greedy: the ids after the first prompt."""
    import torch
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    out = {}
    with torch.no_grad():
        for n, prompt in enumerate(PROMPTS):
            ids = [model.config.bos_token_id, *tokenizer.encode(prompt).ids]
            out[f"ids.{n}"] = np.array(ids, np.int32)
            out[f"logits.{n}"] = model(torch.tensor([ids])).logits[0].numpy()
        start = torch.tensor([out["ids.0"].tolist()])
        greedy = model.generate(start, attention_mask=torch.ones_like(start), do_sample=False, eos_token_id=None,
                                pad_token_id=1, max_new_tokens=GREEDY_TOKENS)
    out["greedy"] = greedy[0, start.shape[1]:].numpy().astype(np.int32)
    return out


def main() -> None:
    FILE.parent.mkdir(exist_ok=True)
    np.savez_compressed(FILE, **compute(Path(sys.argv[1])))
    print(f"{FILE}: {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
