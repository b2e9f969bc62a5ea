"""The precision of trainings: what the processor computes natively, unless one is chosen."""

import os
import subprocess
import sys
import warnings

import pytest
import torch
from training import Stream, run, tiny

from xrdlib.base import processor, provenance


@pytest.fixture(params=[True, False], ids=["native", "emulated"])
def native(request, monkeypatch):
    """A processor with or without bfloat16, whatever this one has."""
    monkeypatch.setattr(processor, "native_bfloat16", lambda device: request.param)
    return request.param


def test_auto_is_what_the_processor_computes_natively(native, recwarn):
    assert processor.precision("auto") == ("bfloat16" if native else "float32")
    assert processor.precision("float32") == "float32"
    assert not recwarn


def test_bfloat16_is_obeyed_with_one_sentence_where_it_is_slow(native, recwarn):
    assert processor.precision("bfloat16") == "bfloat16"
    assert len(recwarn) == (not native)
    for message in map(str, (w.message for w in recwarn)):
        assert "precision: auto" in message and message.count(".") == 1


def test_a_processor_without_wide_vectors_has_no_bfloat16(monkeypatch):
    """As PyTorch says of an older one, and of a new one that is set to be like it."""
    monkeypatch.setattr(processor.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    for capability in ("AVX2", "DEFAULT", "AVX512"):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda c=capability: c)
        assert processor.native_bfloat16("cpu") == (capability == "AVX512")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert not processor.native_bfloat16("cpu")


@pytest.mark.parametrize("given", [None, "ACTIVE"])
def test_waiting_threads_sleep_unless_the_environment_says_otherwise(given):
    env = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    env |= {"OMP_WAIT_POLICY": given} if given else {}
    code = "import os, sys, xrdlib; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.split() == [given or "PASSIVE", "False"]


def test_the_precision_of_auto_is_part_of_the_run(native, tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "code_digest", lambda files: "settled")
    first = run(tiny(), Stream(), steps=3, precision="auto", folder=tmp_path)
    assert first.precision == ("bfloat16" if native else "float32") and first.planned == 3
    stream = Stream()
    same = run(tiny(), stream, steps=3, precision=first.precision, folder=tmp_path)
    assert same == first and stream.calls == [0]  # read from the finished run
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = "float32" if native else "bfloat16"
        afresh = run(tiny(), stream, steps=3, precision=other, folder=tmp_path)
    assert afresh.precision == other and len(list(tmp_path.iterdir())) == 2
