"""The processes that train one model together, under Hugging Face Accelerate; or the only one.

Every process takes its own part of each batch, gradients are averaged, and what depends on a
clock or a signal is decided for all at once. The first process writes what is written.
"""

import os
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import distributed

from ..base.errors import XrdlibError


def join(device: str | torch.device) -> "Alone":
    """The processes of this run, as a launcher such as ``accelerate launch`` started them.

    Several on "cuda" take one GPU each. XrdlibError if they are several without Accelerate.
    """
    return Several(device) if _world() > 1 else Alone(device)


def is_first() -> bool:
    """Whether this is the process that writes: the first one, or the only one."""
    return _world() == 1 or os.environ["RANK"] == "0"


def leave() -> None:
    """End the connection between processes, if there is one."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _world():
    # Both, since a batch system may set one for purposes of its own.
    return int(os.environ.get("WORLD_SIZE", 1)) if "RANK" in os.environ else 1


class Alone:
    """A run in one process, which has nobody to agree with."""

    first, count = True, 1

    def __init__(self, device: str | torch.device) -> None:
        self.device = torch.device(device)

    def part(self, stream: object) -> object:
        """The stream as this process is to draw it."""
        return stream

    def wrap(self, model: torch.nn.Module) -> torch.nn.Module:
        """The model as it is to be called in training."""
        return model

    def reseed(self, seed: int, step: int) -> None:
        """Give this process its own random numbers for one step."""

    def mean(self, tensor: torch.Tensor) -> torch.Tensor:
        """Mean of a tensor over processes."""
        return tensor

    def agree(self, seconds: float, stop: bool) -> tuple[float, bool]:
        """The first process's clock, and whether any process is to stop."""
        return seconds, stop

    def together(self) -> AbstractContextManager:
        """Context in which the loss of another process is one clear error."""
        return nullcontext()


class Several(Alone):
    """A run in several processes, each of which has one of these."""

    def __init__(self, device: str | torch.device) -> None:
        try:
            from accelerate import Accelerator
        except ImportError:
            raise XrdlibError(
                "Training in several processes needs the package accelerate; install it."
            ) from None
        kind, threads = torch.device(device).type, torch.get_num_threads()
        if not distributed.is_initialized():
            # Clocks and signals go by the CPU, or every step would wait for the GPU.
            distributed.init_process_group("gloo" if kind == "cpu" else f"cpu:gloo,{kind}:nccl")
        # The loop has its own bfloat16, the same in one process and in many.
        self._accelerator = Accelerator(cpu=kind == "cpu", mixed_precision="no")
        torch.set_num_threads(threads)
        super().__init__(self._accelerator.device)
        self.rank, self.count = self._accelerator.process_index, self._accelerator.num_processes
        self.first = self.rank == 0

    def part(self, stream: object) -> object:
        return stream.part(self.rank, self.count)

    def wrap(self, model: torch.nn.Module) -> torch.nn.Module:
        return self._accelerator.prepare_model(model)

    def reseed(self, seed: int, step: int) -> None:
        # From the step alone, so that a checkpoint needs no random state of other processes.
        generator = torch.Generator().manual_seed(seed)
        offset = torch.randint(1 << 62, (), generator=generator).item()
        torch.manual_seed((offset + step * self.count + self.rank) % (1 << 63))

    def mean(self, tensor: torch.Tensor) -> torch.Tensor:
        return self._accelerator.reduce(tensor, "mean")

    def agree(self, seconds: float, stop: bool) -> tuple[float, bool]:
        clock_and_stop = torch.tensor(
            [seconds if self.first else 0.0, float(stop)], dtype=torch.float64
        )
        seconds, stops = self._accelerator.reduce(clock_and_stop, "sum").tolist()
        return seconds, stops > 0

    @contextmanager
    def together(self) -> AbstractContextManager:
        try:
            yield
        except (RuntimeError, distributed.DistError) as error:
            # Gloo has no error class of its own.
            if not (isinstance(error, distributed.DistError) or "gloo" in str(error).lower()):
                raise
            raise XrdlibError(
                "Another process of this run ended or cannot be reached; its message, if any, "
                "says why. The last checkpoint is kept: start the run again and it goes on there."
            ) from error
