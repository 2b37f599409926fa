import os
import subprocess
import sys
from dataclasses import replace

import pytest
from ended_runs import EARLIER_BOOT, ENDED_HERE, HERE, OTHER_CONTAINER, OTHER_HOST

from applier.disk.run_owner import RunOwner, Standing, this_process


@pytest.mark.parametrize(
    ("owner", "standing"),
    [
        (HERE, Standing.ALIVE),
        (ENDED_HERE, Standing.ENDED),
        (EARLIER_BOOT, Standing.EARLIER_BOOT),
        (OTHER_HOST, Standing.UNKNOWN),
        (OTHER_CONTAINER, Standing.UNKNOWN),
        (replace(HERE, pid=0), Standing.ALIVE),  # to kill(), our own group
        (replace(HERE, pid=9_999_999), Standing.ENDED),
    ],
)
def test_a_run_should_have_ended_only_if_its_process_is_known_to_have(owner: RunOwner, standing: Standing) -> None:
    assert HERE.standing_of(owner.run_name("abc-0")) is standing


def test_where_namespaces_cannot_be_told_apart_nothing_should_have_ended() -> None:
    here = replace(HERE, pid_namespace=0)

    assert here.standing_of(replace(ENDED_HERE, pid_namespace=0).run_name("abc-0")) is Standing.UNKNOWN


@pytest.mark.parametrize(
    "name",
    ["run-", "run-dead", "run-0123456789abcdef-0", f"{HERE.run_name('x')}\n", f"{HERE.run_name('')}", "run-é"],
    ids=["bare", "word", "older", "line end", "no id", "not ASCII"],  # the same in every process
)
def test_a_name_that_does_not_say_whose_it_is_should_be_anybodys(name: str) -> None:
    assert HERE.standing_of(name) is Standing.UNKNOWN


def test_a_process_should_be_known_to_have_ended_once_it_has() -> None:
    script = "from applier.disk.run_owner import this_process; print(this_process().run_name('r'), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        name = process.stdout.readline().decode().strip()
        assert HERE.standing_of(name) is Standing.ALIVE
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie, which containers may keep for ever
        assert HERE.standing_of(name) is Standing.ENDED
    assert HERE.standing_of(name) is Standing.ENDED


def test_run_names_should_be_names_of_files() -> None:
    assert len(this_process().run_name("0123456789abcdef-1000000")) < 200
