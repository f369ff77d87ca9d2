"""bitsandbytes' Linear8bitLt (LLM.int8) is as near to the float layer as 8 bits allow."""

from __future__ import annotations

import bitsandbytes
import torch


def check() -> str:
    generator = torch.Generator().manual_seed(4)
    plain = torch.nn.Linear(512, 256)
    with torch.no_grad():
        plain.weight.copy_(torch.randn(256, 512, generator=generator) / 512**0.5)
        plain.bias.copy_(torch.randn(256, generator=generator))
    small = bitsandbytes.nn.Linear8bitLt(512, 256, has_fp16_weights=False, threshold=6.0)
    small.load_state_dict(plain.state_dict())
    small = small.to("cuda")
    x = torch.randn(64, 512, generator=generator)
    x[:, 7] = 20.0  # an outlier column, which LLM.int8 keeps in 16 bits
    with torch.no_grad():
        seen = small(x.half().to("cuda")).double().cpu()
        wanted = plain.double()(x.double())
    assert small.weight.dtype == torch.int8, f"the weights are {small.weight.dtype}, not int8"
    error = ((seen - wanted).norm() / wanted.norm()).item()
    assert error < 0.03, f"the 8 bit layer is off by {error:.1%} from the float layer (3 % allowed)"
    return f"bitsandbytes {bitsandbytes.__version__}; Linear8bitLt is {error:.2%} off the float one"
