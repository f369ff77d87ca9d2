"""Triton compiles kernels and launches them: an addition, and a product of matrices."""

import torch
import triton
import triton.language as tl


@triton.jit  # type: ignore[untyped-decorator]
def add(one, two, out, count, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: N803
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    total = tl.load(one + at, mask=inside) + tl.load(two + at, mask=inside)
    tl.store(out + at, total, mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def multiply(one, two, out, SIZE: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: N803
    row = tl.arange(0, SIZE)[:, None]
    column = tl.arange(0, SIZE)[None, :]
    product = tl.dot(tl.load(one + row * SIZE + column), tl.load(two + row * SIZE + column))
    tl.store(out + row * SIZE + column, product)


def check() -> str:
    device = torch.device("cuda", 0)
    generator = torch.Generator().manual_seed(3)
    count = 100_003  # no multiple of the block
    one, two = (torch.randn(count, generator=generator).to(device) for _ in range(2))
    out = torch.empty_like(one)
    add[(triton.cdiv(count, 1024),)](one, two, out, count, BLOCK=1024)
    assert torch.equal(out, one + two), "a kernel's sum of two vectors is not torch's"
    size = 64
    left, right = (torch.randn(size, size, generator=generator).half() for _ in range(2))
    product = torch.empty(size, size, device=device, dtype=torch.float32)
    multiply[(1,)](left.to(device), right.to(device), product, SIZE=size)
    wanted = left.double() @ right.double()
    error = (product.double().cpu() - wanted).abs().max().item()
    assert error < 1e-3, f"a kernel's product of matrices is off by {error:.1e} from float64"
    return (
        f"triton {triton.__version__}; sum of {count} numbers exact, tl.dot: largest error "
        f"{error:.1e} against float64 on the CPU"
    )
