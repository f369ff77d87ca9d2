"""transformers loads a Llama in 4 bit by bitsandbytes and generates; the model is made here."""

from __future__ import annotations

import os
import tempfile

# Nothing is to be looked up: the model has no name on any hub.
os.environ["HF_HUB_OFFLINE"] = "1"

import bitsandbytes
import torch
import transformers

_PROMPT, _TOTAL = 8, 24


def saved_model(folder: str) -> transformers.LlamaForCausalLM:
    """Save a random Llama of two layers, and return it."""
    torch.manual_seed(6)
    config = transformers.LlamaConfig(
        vocab_size=256,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=64,
        initializer_range=0.1,  # far apart logits: near ties would show rounding, not errors
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=None,
        pad_token_id=0,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    model.save_pretrained(folder)
    return model


def check() -> str:
    with tempfile.TemporaryDirectory() as folder:
        plain = saved_model(folder)
        small = transformers.AutoModelForCausalLM.from_pretrained(
            folder,
            device_map={"": 0},
            quantization_config=transformers.BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_compute_dtype=torch.float16,
            ),
        ).eval()
    layers = sum(isinstance(part, bitsandbytes.nn.Linear4bit) for part in small.modules())
    assert layers == 14, f"{layers} layers are in 4 bit; 14 were expected"
    prompt = torch.arange(2, 2 + _PROMPT)[None]
    with torch.no_grad():
        text = small.generate(
            prompt.to("cuda"),
            attention_mask=torch.ones_like(prompt).to("cuda"),
            max_length=_TOTAL,
            min_length=_TOTAL,
            do_sample=False,
        )
        logits = small(text, use_cache=False).logits.double().cpu()
        wanted = plain(text.cpu()).logits.double()
    assert text.shape == (1, _TOTAL), f"{text.shape[1]} tokens came out, {_TOTAL} were asked for"
    # Greedy: every token is the best one by a pass over the whole text without the cache.
    best = logits[0, _PROMPT - 1 : -1].max(dim=1).values
    taken = logits[0, _PROMPT - 1 : -1].gather(1, text[0, _PROMPT:, None].cpu())[:, 0]
    gap = ((best - taken).max() / logits.std()).item()
    assert gap < 0.05, f"a generated token is {gap:.2f} standard deviations below the best one"
    likeness = torch.nn.functional.cosine_similarity(logits.flatten(), wanted.flatten(), 0).item()
    assert likeness > 0.9, f"the 4 bit model's logits are like the float one's by {likeness:.2f}"
    return (
        f"transformers {transformers.__version__}; {_TOTAL - _PROMPT} tokens, each the best by a "
        f"pass without cache; logits like the float model's: cosine {likeness:.3f}"
    )
