"""Where memory is too small, the error names the batch and what makes it smaller."""

import pytest
import torch

from sae_core.embedding.device_memory import memory_for
from sae_core.files.errors import DeviceMemoryError


def allocate_too_much():
    torch.empty(2**52, dtype=torch.uint8)


@pytest.mark.parametrize(
    "fail",
    [
        allocate_too_much,
        lambda: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")),
        lambda: (_ for _ in ()).throw(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublas")),
        lambda: (_ for _ in ()).throw(MemoryError()),
    ],
    ids=["processor", "torch", "cublas", "numpy"],
)  # fmt: skip
def test_every_way_of_running_out_of_memory_names_the_batch_and_the_remedy(fail):
    with pytest.raises(DeviceMemoryError) as caught, memory_for("a batch of 4,096 clips", remedy="take 2048"):
        fail()
    assert str(caught.value) == "a batch of 4,096 clips needs more memory than is left → take 2048"
    assert caught.value.__cause__ is not None


def test_other_errors_pass_as_they_are():
    with pytest.raises(RuntimeError, match="must match"), memory_for("a batch", remedy="a smaller one"):
        torch.zeros(2) + torch.zeros(3)
