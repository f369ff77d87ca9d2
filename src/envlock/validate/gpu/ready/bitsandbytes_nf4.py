"""bitsandbytes' Linear4bit (nf4) agrees with its own weights, and those with the float ones."""

from __future__ import annotations

import bitsandbytes
import torch


def check() -> str:
    generator = torch.Generator().manual_seed(5)
    weights = torch.randn(256, 512, generator=generator)
    plain = torch.nn.Linear(512, 256, bias=False)
    with torch.no_grad():
        plain.weight.copy_(weights)
    small = bitsandbytes.nn.Linear4bit(
        512, 256, bias=False, quant_type="nf4", compute_dtype=torch.float16
    )
    small.load_state_dict(plain.state_dict())
    small = small.to("cuda")
    assert small.weight.dtype == torch.uint8, f"the weights are {small.weight.dtype}, not packed"
    back = bitsandbytes.functional.dequantize_4bit(small.weight.data, small.weight.quant_state)
    back = back.double().cpu().reshape(weights.shape)
    off = ((back - weights.double()).norm() / weights.norm()).item()
    # The 16 levels are the normal distribution's quantiles: about 9 % in blocks of 64.
    assert 0.03 < off < 0.13, f"nf4 weights are off by {off:.1%}; 3 % to 13 % were expected"
    x = torch.randn(64, 512, generator=generator).half()
    worst = 0.0
    for rows in (1, 64):  # one row has a kernel of its own
        with torch.no_grad():
            seen = small(x[:rows].to("cuda")).double().cpu()
        wanted = x[:rows].double() @ back.T
        worst = max(worst, ((seen - wanted).norm() / wanted.norm()).item())
    assert worst < 0.005, f"the 4 bit layer is off by {worst:.2%} from its own weights"
    return (
        f"bitsandbytes {bitsandbytes.__version__}; nf4 weights {off:.1%} off the float ones, "
        f"Linear4bit {worst:.3%} off its own weights"
    )
