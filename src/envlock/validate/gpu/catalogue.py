"""The ready-made checks by name: what a spec may write as ``gpu: <name>``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "ready"
"""Where the scripts are; shown to the sandbox as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A ready-made check.

    module: its script; needs: modules that must be installed; compiler: whether Triton will
    compile C with it; says: what it shows, in a few words.
    """

    name: str
    module: str
    needs: tuple[str, ...]
    compiler: bool
    says: str


READY: dict[str, Ready] = {
    ready.name: ready
    for ready in (
        Ready(
            name="torch-cuda",
            module="torch_cuda",
            needs=("torch",),
            compiler=False,
            says="torch computes on the GPU",
        ),
        Ready(
            name="torch-compile",
            module="torch_compile",
            needs=("torch", "triton"),
            compiler=True,
            says="torch.compile with inductor",
        ),
        Ready(
            name="triton-kernel",
            module="triton_kernel",
            needs=("torch", "triton"),
            compiler=True,
            says="Triton compiles and launches kernels",
        ),
        Ready(
            name="bitsandbytes-int8",
            module="bitsandbytes_int8",
            needs=("torch", "bitsandbytes"),
            compiler=False,
            says="Linear8bitLt",
        ),
        Ready(
            name="bitsandbytes-nf4",
            module="bitsandbytes_nf4",
            needs=("torch", "bitsandbytes"),
            compiler=False,
            says="Linear4bit with nf4",
        ),
        Ready(
            name="transformers-4bit-generate",
            module="transformers_4bit_generate",
            needs=("torch", "bitsandbytes", "transformers", "accelerate"),
            compiler=False,
            says="a Llama loaded in 4 bit generates text",
        ),
    )
}
