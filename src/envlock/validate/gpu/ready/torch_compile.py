"""torch.compile with inductor, the default backend, makes Triton kernels that compute right."""

from __future__ import annotations

import torch
import torch.nn.functional as functional


def layer(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Return something worth fusing: pointwise work on both sides of a reduction."""
    mixed = functional.gelu(x * 1.5 + 0.25, approximate="tanh")
    return functional.layer_norm(mixed, (x.shape[-1],), weight, bias) + torch.sin(x)


def check() -> str:
    from torch._dynamo.utils import counters

    device = torch.device("cuda", 0)
    generator = torch.Generator().manual_seed(2)
    inputs = [
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((256, 512), (512,), (512,))
    ]
    wanted = layer(*inputs)
    compiled = torch.compile(layer, fullgraph=True)
    seen = compiled(*(item.float().to(device) for item in inputs))
    error = (seen.double().cpu() - wanted).abs().max().item()
    graphs = counters["stats"]["unique_graphs"]
    assert graphs == 1, f"torch.compile made {graphs} graphs of one function"
    assert error < 1e-4, f"the compiled function is off by {error:.1e} from float64 on the CPU"
    return f"inductor compiled 1 graph; largest error {error:.1e} against float64 on the CPU"
