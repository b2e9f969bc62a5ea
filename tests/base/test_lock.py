import os
import signal
import subprocess
import sys

import pytest

from xrdlib.base import files
from xrdlib.base.errors import XrdlibError
from xrdlib.base.files import FolderInUse, held

HOLD = """
import sys, time
from xrdlib.base.files import held
with held(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_learns_which_one_holds_the_folder(tmp_path, holder):
    message = rf"{tmp_path} is in use by process {holder.pid} on "
    for _ in range(2):  # being refused harms neither the lock nor its signature
        with pytest.raises(FolderInUse, match=message), held(tmp_path):
            pytest.fail("two processes in one folder")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_ends_with_its_process(tmp_path, holder, number):
    holder.send_signal(number)
    holder.wait()
    with held(tmp_path):
        assert (tmp_path / files.NAME).read_text().startswith(f"process {os.getpid()} on ")


def test_a_lock_is_given_back_after_success_and_after_an_error(tmp_path):
    with pytest.raises(KeyError), held(tmp_path / "new"):
        with pytest.raises(FolderInUse, match=f"process {os.getpid()} "), held(tmp_path / "new"):
            pytest.fail("held twice")
        raise KeyError
    with held(tmp_path / "new"):
        pass
    with held(tmp_path / "new"), held(tmp_path / "other"):
        pass


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(XrdlibError, match="cannot be written"), held(tmp_path / "file"):
        pytest.fail("held what is no folder")


def test_a_file_system_without_locks_is_worth_a_warning(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    with pytest.warns(UserWarning, match="cannot be locked .No locks available"), held(tmp_path):
        pass
