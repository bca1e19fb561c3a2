"""Settings that keep arithmetic the same are made, nested, shared between threads, and taken back."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from tests.near import assert_near
from tokaudio.nn import determinism
from tokaudio.nn.determinism import exact_inference, full_precision, one_thread

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    yield
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)
    torch.backends.mkldnn.matmul.fp32_precision = "none"
    torch.backends.mkldnn.conv.fp32_precision = "none"


def test_the_number_of_threads_is_set_and_restored_also_when_nested_or_left_by_an_error():
    torch.set_num_threads(3)
    with one_thread():
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3
    with pytest.raises(KeyError), one_thread():
        raise KeyError
    assert torch.get_num_threads() == 3


def test_blocks_that_overlap_between_threads_each_keep_to_one_and_restore_their_own():
    torch.set_num_threads(2)
    entered, leave, seen = threading.Event(), threading.Event(), []

    def other() -> None:
        seen.append(torch.get_num_threads())
        with one_thread():
            seen.append(torch.get_num_threads())
            entered.set()
            leave.wait(10)
            seen.append(torch.get_num_threads())
        seen.append(torch.get_num_threads())

    worker = threading.Thread(target=other)
    worker.start()
    assert entered.wait(10)
    with one_thread():
        assert torch.get_num_threads() == 1
        leave.set()
        worker.join(10)
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    assert seen == [2, 1, 1, 2]


def test_the_last_thread_to_leave_restores_what_new_threads_start_with():
    torch.set_num_threads(2)
    entered, leave, seen = threading.Event(), threading.Event(), []

    def other() -> None:
        with one_thread():
            entered.set()
            leave.wait(10)
        seen.append(torch.get_num_threads())

    worker = threading.Thread(target=other)
    with one_thread():
        worker.start()
        assert entered.wait(10)
    assert torch.get_num_threads() == 2
    leave.set()
    worker.join(10)
    fresh = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    fresh.start()
    fresh.join(10)
    assert seen == [2, 2]


def test_precision_that_blocks_of_two_threads_share_comes_back_with_the_last():
    torch.set_float32_matmul_precision("medium")
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with full_precision(CPU):
            entered.set()
            leave.wait(10)

    worker = threading.Thread(target=other)
    with full_precision(CPU):
        worker.start()
        assert entered.wait(10)
    still = torch.backends.mkldnn.matmul.fp32_precision
    leave.set()
    worker.join(10)
    assert still == "ieee", "the other block was still open"
    assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    assert torch.get_float32_matmul_precision() == "medium"
    assert not determinism._undo


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_precision_set_the_old_way_is_lifted_and_restored(precision: str):
    torch.set_float32_matmul_precision(precision)
    with full_precision(CPU):
        assert torch.backends.mkldnn.matmul.fp32_precision in ("none", "ieee")
        a = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
        assert_near((a @ a).double(), a.double() @ a.double(), within=0.0001)
    assert torch.get_float32_matmul_precision() == precision


@pytest.mark.parametrize("knob", ["matmul", "conv"])
def test_precision_set_the_new_way_is_lifted_and_restored(knob: str):
    setting = getattr(torch.backends.mkldnn, knob)
    setting.fp32_precision = "bf16"
    with exact_inference(CPU):
        assert setting.fp32_precision == "ieee"
    assert setting.fp32_precision == "bf16"


def test_the_settings_of_a_gpu_are_lifted_and_restored():
    setting = torch.backends.cuda.matmul
    before = setting.fp32_precision
    setting.fp32_precision = "tf32"
    try:
        with full_precision(torch.device("cuda")):
            assert setting.fp32_precision == "ieee"
        assert setting.fp32_precision == "tf32"
    finally:
        setting.fp32_precision = before


def test_before_torch_2_9_the_one_setting_of_all_backends_is_used(monkeypatch: pytest.MonkeyPatch):
    calls: list[str] = []
    old = SimpleNamespace(
        backends=SimpleNamespace(),
        get_float32_matmul_precision=lambda: "medium",
        set_float32_matmul_precision=calls.append,
    )
    monkeypatch.setattr(determinism, "torch", old)
    with determinism._full("cpu"):
        assert calls == ["highest"]
    assert calls == ["highest", "medium"]


def test_exact_inference_keeps_gradients_autocast_and_threads_out():
    torch.set_num_threads(2)
    weight = torch.randn(8, 8, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16), exact_inference(CPU):
        out = weight @ weight
        assert out.dtype == torch.float32 and not out.requires_grad
        assert torch.get_num_threads() == 1
    assert torch.is_grad_enabled() and torch.get_num_threads() == 2
