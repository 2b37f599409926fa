"""`make demo`: a short story, and on request a world to try."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from real_blocks import ROOT
from waiting import wait_for

DEMO = ROOT / "examples" / "demo" / "demo.py"
LINES = 60


def test_demo_should_tell_its_story_in_few_lines_and_leave_a_world_to_try(tmp_path: Path) -> None:
    # when
    world = tmp_path / "world"
    with (tmp_path / "said").open("w") as said:
        # whoever starts the tests in the background of a shell has SIGINT ignored
        command = ["/usr/bin/env", "--default-signal=INT", sys.executable, str(DEMO), str(world)]
        demo = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: "Ctrl-C here" in (tmp_path / "said").read_text(encoding="utf-8"), "the end of the story")

        # then
        story, invitation, _ = (tmp_path / "said").read_text(encoding="utf-8").partition("The world is ready.")
        assert invitation
        assert story.count("\n") < LINES
        for words in ("$ kraken-plan compile", "20 already right", "To do: 1 to heal", "Status: PARTIAL FAILURE"):
            assert words in story

        # when somebody enters the world
        mending = ["/bin/sh", "-c", ". ./env.sh && kraken-plan apply plan.json --recover-versions"]
        tried = subprocess.run(mending, cwd=world, env={"PATH": os.environ["PATH"]}, capture_output=True, check=False)

        # then what the story left broken can be mended
        assert tried.returncode == 0, tried.stderr.decode()
    finally:
        demo.send_signal(signal.SIGINT)
        ended = demo.wait(60)
    assert ended == 0


def test_a_world_should_not_be_made_over_another_one_but_say_how_to_remove_it(tmp_path: Path) -> None:
    (tmp_path / "old world").mkdir()
    made = subprocess.run(
        [sys.executable, DEMO.with_name("world.py"), "old world"], cwd=tmp_path, capture_output=True, check=False
    )

    assert made.returncode == 1
    assert "old world is already there: remove it (rm -r 'old world'), or " in made.stderr.decode()
    assert list((tmp_path / "old world").iterdir()) == []
