"""torch computes on the GPU, and what comes back is right."""

from __future__ import annotations

import torch


def check() -> str:
    assert torch.version.cuda, f"torch {torch.__version__} is a build without CUDA"
    assert torch.cuda.is_available(), "torch.cuda.is_available() is false"
    torch.backends.cuda.matmul.allow_tf32 = False
    generator = torch.Generator().manual_seed(1)
    one = torch.randn(512, 256, generator=generator, dtype=torch.float64)
    two = torch.randn(256, 384, generator=generator, dtype=torch.float64)
    wanted = torch.softmax(one @ two, dim=1)
    device = torch.device("cuda", 0)
    seen = torch.softmax(one.float().to(device) @ two.float().to(device), dim=1)
    error = (seen.double().cpu() - wanted).abs().max().item()
    assert error < 1e-4, f"softmax(a @ b) is off by {error:.1e} from float64 on the CPU"
    capability = ".".join(map(str, torch.cuda.get_device_capability(device)))
    return (
        f"torch {torch.__version__} on compute capability {capability}; "
        f"softmax(a @ b): largest error {error:.1e} against float64 on the CPU"
    )
