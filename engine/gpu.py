"""Builds and launches CUDA code on torch's devices and streams; knows nothing of what it computes.

A kernel's parameters are pointers and 64-bit integers only. ADVENTURE_KERNEL chooses as for the
native libraries: "auto" (CUDA kernels where they can run), "native" (an error where they can't),
"torch" (none).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from engine import cubin, kernels
from engine.cubin import CubinError, Program
from engine.kernels import KernelError

__all__ = ["KernelError", "Module", "Program", "module", "most_shared", "usable", "why_not"]

DRIVER = "libcuda.so.1"
CAPABILITY = (8, 0)  # the least: TF32 tensor cores, bf16, copies in the background
PARAMETERS = 30  # of a kernel, at most
_NO_CONTEXT = 201  # CUDA_ERROR_INVALID_CONTEXT
_MOST_SHARED = 97  # CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
_SHARED_ATTRIBUTE = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES


def why_not(device: torch.device) -> str | None:
    """A clause that says why CUDA kernels don't run on `device`; None where they do.

    Raises KernelError where ADVENTURE_KERNEL is none of its choices.
    """
    if _choice() == "torch":
        return f"{kernels.VARIABLE}=torch"
    if device.type != "cuda":
        return f"{device.type} is no CUDA device"
    trouble = _no_gpu() if _own_index(device) is None else None
    if trouble is not None:
        return trouble
    index = _index(device)
    return _trouble(index) or _failed.get(index)


def usable(device: torch.device) -> bool:
    """Whether CUDA kernels run on `device`.

    Raises KernelError where they can't though it is a GPU and ADVENTURE_KERNEL=native asks.
    """
    reason = why_not(device)
    if reason is not None and device.type == "cuda" and _choice() == "native":
        raise KernelError(
            f"{kernels.VARIABLE}=native, but CUDA kernels can't run here ({reason}): "
            f"set {kernels.VARIABLE}=auto."
        )
    return reason is None


def module(program: Program, device: torch.device) -> Module:
    """`program`, built for `device` and loaded there; the same module for the same question.

    Raises KernelError, one sentence, where it can't be built or loaded. What can't be built is
    remembered, and `why_not` says so from then on; loading, which wants memory, is tried anew.
    """
    key = (program, _index(device))
    found = _modules.get(key)
    if found is None:
        with _lock:
            found = _modules.get(key) or _outcome(*key)
            _modules[key] = found
    if isinstance(found, KernelError):
        raise found
    return found


@kernels.assumed_constant
def most_shared(device: torch.device) -> int:
    """The bytes of shared memory that a block may ask for on `device`."""
    return _most_shared(_index(device))


@dataclass
class _Kernel:
    handle: ctypes.c_void_p
    shared: int = 0  # bytes of dynamic shared memory that the driver has been told of


class Module:
    """A loaded binary on one device."""

    def __init__(self, program: Program, driver: _Driver, index: int, image: bytes) -> None:
        """Raises KernelError where the driver refuses the binary."""
        self._program, self._driver, self._index = program, driver, index
        self._kernels: dict[str, _Kernel] = {}
        self._lock = threading.Lock()
        self._handle = ctypes.c_void_p()
        with _on_device(index):
            driver.bind(index)
            driver.call("cuModuleLoadData", ctypes.byref(self._handle), image)

    def launch(
        self,
        kernel: str,
        grid: tuple[int, int, int],
        block: int,
        shared: int,
        *args: Tensor | int | None,
    ) -> None:
        """Queues `kernel` on torch's current stream of the device.

        grid: blocks; block: threads of one; shared: bytes of its dynamic shared memory.
        args: a contiguous tensor of that device goes as its address, None as null, an integer
        as 64 bits. Raises KernelError for what the driver refuses.
        """
        found = self._kernels.get(kernel) or self._find(kernel)
        words, pointers = _arguments.words, _arguments.pointers
        words[: len(args)] = [x.data_ptr() if isinstance(x, Tensor) else x or 0 for x in args]
        if _current_device() == self._index:
            self._launch(kernel, found, grid, block, shared, pointers)
        else:
            with _on_device(self._index):
                self._launch(kernel, found, grid, block, shared, pointers)

    def _launch(
        self,
        name: str,
        kernel: _Kernel,
        grid: tuple[int, int, int],
        block: int,
        shared: int,
        pointers: ctypes.Array[ctypes.c_void_p],
    ) -> None:
        if shared > kernel.shared:
            with self._lock:  # another thread's smaller number must not come after a larger one
                if shared > kernel.shared:
                    self._driver.bind(self._index)
                    function, what = kernel.handle, _SHARED_ATTRIBUTE
                    self._driver.call("cuFuncSetAttribute", function, what, shared)
                    kernel.shared = shared
        launch = self._driver.launch
        stream = _stream(self._index)
        code = launch(kernel.handle, *grid, block, 1, 1, shared, stream, pointers, None)
        if code == _NO_CONTEXT:  # a thread in which torch hasn't touched the device yet
            self._driver.bind(self._index)
            code = launch(kernel.handle, *grid, block, 1, 1, shared, stream, pointers, None)
        if code != 0:
            self._driver.refuse(f"{self._program}: cuLaunchKernel of {name}", code)

    def _find(self, kernel: str) -> _Kernel:
        found = _Kernel(ctypes.c_void_p())
        with _on_device(self._index):
            self._driver.bind(self._index)
            self._driver.call(
                "cuModuleGetFunction", ctypes.byref(found.handle), self._handle, kernel.encode()
            )
        return self._kernels.setdefault(kernel, found)


class _Arguments(threading.local):
    """A launch's parameters and their addresses; the driver copies them before it returns."""

    def __init__(self) -> None:
        self.words = (ctypes.c_int64 * PARAMETERS)()
        first = ctypes.addressof(self.words)
        self.pointers = (ctypes.c_void_p * PARAMETERS)(*(first + 8 * i for i in range(PARAMETERS)))


class _Driver:
    """The CUDA driver. Raises OSError, AttributeError where `path` isn't one."""

    def __init__(self, path: str) -> None:
        self._library = ctypes.CDLL(path)
        self._contexts: dict[int, ctypes.c_void_p] = {}
        pointer, number = ctypes.c_void_p, ctypes.c_uint
        self.launch = self._library.cuLaunchKernel
        self.launch.argtypes = [pointer, *[number] * 7, pointer, pointer, pointer]
        self._library.cuGetErrorString.argtypes = [ctypes.c_int, pointer]
        self._library.cuModuleLoadData.argtypes = [pointer, ctypes.c_char_p]
        self.call("cuInit", 0)

    def call(self, name: str, *args: object) -> None:
        """Calls a function of the driver; KernelError for a code that isn't 0."""
        code = getattr(self._library, name)(*args)
        if code != 0:
            self.refuse(name, code)

    def refuse(self, what: str, code: int) -> None:
        """Raises KernelError with the driver's own words for `code`."""
        text = ctypes.c_char_p()
        self._library.cuGetErrorString(code, ctypes.byref(text))
        said = (text.value or b"unknown error").decode(errors="replace")
        raise KernelError(f"{what} failed: {said} (CUDA error {code}).")

    def attribute(self, index: int, which: int) -> int:
        """A number that the driver knows of a device."""
        device, value = ctypes.c_int(), ctypes.c_int()
        self.call("cuDeviceGet", ctypes.byref(device), index)
        self.call("cuDeviceGetAttribute", ctypes.byref(value), which, device)
        return value.value

    def bind(self, index: int) -> None:
        """Makes torch's context of a device, the primary one, this thread's own."""
        if index not in self._contexts:
            device, context = ctypes.c_int(), ctypes.c_void_p()
            self.call("cuDeviceGet", ctypes.byref(device), index)
            self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
            self._contexts[index] = context
        self.call("cuCtxSetCurrent", self._contexts[index])


_arguments = _Arguments()
_lock = threading.Lock()
_modules: dict[tuple[Program, int], Module | KernelError] = {}
_failed: dict[int, str] = {}  # device: why a program couldn't be had there


def _choice() -> str:
    """What ADVENTURE_KERNEL says. Raises KernelError for what is no choice."""
    choice = os.environ.get(kernels.VARIABLE, "auto") or "auto"
    if choice not in kernels.CHOICES:
        wanted = ", ".join(kernels.CHOICES)
        raise KernelError(f"{kernels.VARIABLE} is {choice!r}; set it to one of {wanted}.")
    return choice


def _outcome(program: Program, index: int) -> Module | KernelError:
    """A module by the first compiler whose binary loads, or why none can be built.

    Raises KernelError where one was built and the driver refused it.
    """
    arch = "sm_{}{}".format(*_capability(index))
    reason, refused = "", None
    try:
        driver = _driver()
        for compiler in cubin.compilers():
            try:
                image = cubin.binary(program, compiler, arch)
            except CubinError as error:
                reason = reason or str(error)
                continue
            try:
                return Module(program, driver, index, image)
            except KernelError as error:
                refused = refused or error
    except (OSError, AttributeError) as error:
        reason = " ".join(str(error).split())
    if refused:
        raise KernelError(
            f"The CUDA kernel {program} can't be loaded ({str(refused).rstrip('.')}): "
            f"set {kernels.VARIABLE}=torch to do without."
        )
    reason = reason or "neither nvcc nor NVRTC is here"
    _failed[index] = f"{program} can't be built for {arch} ({reason})"
    return KernelError(
        f"The CUDA kernel {_failed[index]}: set {kernels.VARIABLE}=torch to do without."
    )


@lru_cache(maxsize=64)
def _most_shared(index: int) -> int:
    return _driver().attribute(index, _MOST_SHARED)


def _no_gpu() -> str | None:
    if not _built():
        return "this torch is built without CUDA"
    return None if _available() else "torch finds no GPU"


@lru_cache(maxsize=64)  # asked before every launch
def _trouble(index: int) -> str | None:
    if trouble := _no_gpu():
        return trouble
    capability = _capability(index)
    if capability < CAPABILITY:
        return "sm_{}{} has no TF32 tensor cores; compute capability {}.{} is needed".format(
            *capability, *CAPABILITY
        )
    try:
        _driver()
    except (OSError, AttributeError, KernelError) as error:
        return f"no CUDA driver ({' '.join(str(error).split()).rstrip('.')})"
    if next(cubin.compilers(), None) is None:
        return "neither nvcc nor NVRTC is here"
    return None


@lru_cache(maxsize=1)
def _driver() -> _Driver:
    return _Driver(DRIVER)


# ---- what torch is asked -------------------------------------------------------------------


def _built() -> bool:
    return torch.version.cuda is not None


def _available() -> bool:
    return torch.cuda.is_available()


def _capability(index: int) -> tuple[int, int]:
    return torch.cuda.get_device_capability(index)


def _current_device() -> int:
    return torch.cuda.current_device()


def _own_index(device: torch.device) -> int | None:
    return device.index


def _index(device: torch.device) -> int:
    """The device's number; torch's current one where it has none."""
    index = _own_index(device)
    return _current_device() if index is None else index


def _on_device(index: int) -> contextlib.AbstractContextManager[object]:
    return torch.cuda.device(index)


def _stream(index: int) -> int:
    return torch.cuda.current_stream(index).cuda_stream
