# SPDX-License-Identifier: Apache-2.0
"""`payhook stack` at a terminal: questions, a tree that is drawn again in its place, Ctrl-C. The screen is what a
terminal of 80 columns would show in the end."""

import re
import subprocess

import pytest

from cloudformation_stand_in import AwsStandIn
from conftest import PROGRAM
from stack_help import (
    BUCKET,
    FUNCTION,
    RESOURCES,
    STACK,
    TABLE,
    ZIP,
    Command,
    deployed,
    key_of,
    left_behind,
    make_zip,
    users_own,
)

QUESTION = r"\? \[y/N\] $"
MOVES_UP = re.compile(r"\x1b\[\d*[AF]")


@pytest.fixture
def aws():
    with AwsStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def stack(home, aws):
    return Command(home, aws)


def rows(screen, name):
    """The lines of the screen that are about a resource and its status."""
    return [line for line in screen.splitlines() if re.search(rf"\b{name}\b.*\b[A-Z]+_(COMPLETE|IN_PROGRESS|FAILED)\b", line)]


@pytest.mark.parametrize("columns", [40, 80, 132])
def test_up_with_a_question(stack, aws, columns):
    with stack.terminal("up", columns=columns) as terminal:
        terminal.until(QUESTION)
        assert aws.count("ExecuteChangeSet") == 0 and aws.count("PutObject") == 0
        for name in RESOURCES:
            assert re.search(rf"\+ {name}\b", terminal.screen.text()), terminal.screen.text()
        assert terminal.type("y\n").wait() == 0, terminal.raw
    assert aws.world.stacks[STACK].status == "CREATE_COMPLETE" and aws.world.buckets[BUCKET].objects == {key_of(ZIP): ZIP}
    screen = terminal.screen.text()
    assert MOVES_UP.search(terminal.raw), "the tree is drawn in its place"
    assert all(len(line) <= columns for line in screen.splitlines())
    if columns >= 80:
        for name in RESOURCES:
            [row] = rows(screen, name)
            assert "CREATE_COMPLETE" in row, screen
        assert aws.world.functions[FUNCTION]["url"]["address"] in terminal.raw
    assert terminal.raw.count("[y/N]") == 1


@pytest.mark.parametrize("answer", ["n\n", "\n", "no\n", "yesterday\n", "\x04"])
def test_no(stack, aws, answer):
    with stack.terminal("up") as terminal:
        terminal.until(QUESTION).type(answer)
        assert terminal.wait() == 1
    assert re.search("nothing (was|has been)", terminal.screen.text()), terminal.screen.text()
    assert not aws.world.stacks and not aws.world.buckets and aws.count("ExecuteChangeSet") == 0


@pytest.mark.parametrize("answer", ["n\n", "y\n", "\n"])
def test_destroy_wants_the_whole_word(stack, aws, answer):
    deployed(aws)
    aws.world.tables[TABLE] = 77
    with stack.terminal("destroy") as terminal:
        terminal.until(r"\byes\b.*\S* ?$").type(answer)
        assert "77" in terminal.screen.text() and terminal.wait() == 1
    assert TABLE in aws.world.tables and aws.count("DeleteStack") == 0 and not left_behind(aws)


def test_destroy(stack, aws):
    deployed(aws)
    with stack.terminal("destroy") as terminal:
        assert terminal.until(r"\byes\b.*\S* ?$").type("yes\n").wait() == 0, terminal.raw
    assert not aws.world.stacks and not aws.world.buckets
    [row] = rows(terminal.screen.text(), "Table")
    assert "DELETE_COMPLETE" in row


def test_ctrl_c_at_the_question(stack, aws):
    with stack.terminal("up") as terminal:
        terminal.until(QUESTION).type("\x03")
        assert terminal.wait() in (1, 130)
    assert not aws.world.stacks and not aws.world.buckets and aws.count("ExecuteChangeSet") == 0
    assert "y/N" in terminal.screen.text()


def test_ctrl_c_at_the_question_of_an_update(stack, aws):
    deployed(aws)
    stack.zip.write_bytes(make_zip(extra=b"2"))
    with stack.terminal("up") as terminal:
        terminal.until(QUESTION).type("\x03")
        assert terminal.wait() in (1, 130)
    assert not left_behind(aws) and aws.count("PutObject") == 0


def test_ctrl_c_while_it_goes_on(stack, aws):
    deployed(aws)
    stack.zip.write_bytes(make_zip(extra=b"2"))
    aws.world.pace = 0
    with stack.terminal("up", "--yes") as terminal:
        terminal.until(r"UPDATE_IN_PROGRESS").type("\x03")
        assert terminal.wait() in (1, 130)
    screen = terminal.screen.text()
    words = " ".join(screen.split())
    assert "goes on" in words and "payhook stack up" in words, screen
    aws.world.pace = 2
    assert stack.ok("up", "--yes").code == 0
    assert aws.world.stacks[STACK].status == "UPDATE_COMPLETE"


def test_ctrl_c_while_it_waits_for_somebody_else(stack, aws):
    deployed(aws)
    deployed(aws, zip_bytes=make_zip(extra=b"2"), kind="UPDATE", finish=False)
    aws.world.pace = 0
    with stack.terminal("up") as terminal:
        terminal.until("waiting for UPDATE_IN_PROGRESS").type("\x03")
        assert terminal.wait() in (1, 130)
    assert aws.count("CreateChangeSet") == 0 and not left_behind(aws)


def test_a_failure_stands_under_the_tree(stack, aws):
    aws.world.failures["CREATE", "Table"] = "There is a table like this, which is a rather long sentence to be told about it"
    with stack.terminal("up", "--yes") as terminal:
        assert terminal.wait() == 1
    screen = terminal.screen.text()
    [row] = rows(screen, "Table")[:1]
    words = " ".join(screen.split())
    assert "There is a table like this, which is a rather long sentence to be told about it" in words, screen
    assert words.index("There is a table") > words.index(" ".join(row.split())) and "ROLLBACK_COMPLETE" in words


def test_an_import_asks_twice(stack, aws):
    users_own(aws)
    with stack.terminal("up", "--import") as terminal:
        terminal.until(QUESTION)
        assert re.search(r"= Table\b", terminal.screen.text()), terminal.screen.text()
        terminal.type("y\n").until(r"~ Function[\s\S]*" + QUESTION)
        assert aws.world.stacks[STACK].status == "IMPORT_COMPLETE" and aws.world.functions[FUNCTION]["runtime"] == "python3.11"
        assert terminal.type("n\n").wait() == 1
    assert aws.world.stacks[STACK].status == "IMPORT_COMPLETE" and not left_behind(aws)
    assert aws.world.tables == {TABLE: 5}


@pytest.mark.parametrize("environment, redraws", [({"TERM": "dumb"}, False), ({"NO_COLOR": "1"}, True), ({}, True)])
def test_kinds_of_terminals(stack, aws, environment, redraws):
    with stack.terminal("up", "--yes", environment=environment) as terminal:
        assert terminal.wait() == 0
    assert bool(MOVES_UP.search(terminal.raw)) == redraws
    assert bool(re.search(r"\x1b\[[0-9;]*m", terminal.raw)) == (not environment)


def test_a_low_window_is_told_in_lines(stack, aws):
    with stack.terminal("up", "--yes", rows=5) as terminal:
        assert terminal.wait() == 0
    assert "CREATE_COMPLETE" in terminal.raw
    for found in re.finditer(r"\x1b\[(\d*)A", terminal.raw):
        assert int(found[1] or 1) < 5


def test_outputs_are_for_pipes(stack, aws, home):
    """The value alone is on standard output though standard error is a terminal's."""
    deployed(aws)
    done = subprocess.run(
        [str(PROGRAM), "stack", "outputs", "dynamodb_table_name"],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        cwd=home.path,
        env=home.environment(stack.environment({"TERM": "xterm"})),
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, b"envmig-transactions-dev\n")
