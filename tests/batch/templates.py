"""Notebooks for the tests of batches."""

import os
import time

import nbformat

PARAMETERS = "a = 1  # a number\nword = 'x'\nout = None\nitems = [1, 2]"


def write_notebook(path, *cells, parameters=PARAMETERS):
    """A notebook whose first code cell is tagged ``parameters``."""
    first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    content = nbformat.v4.new_notebook(cells=[first, *map(nbformat.v4.new_code_cell, cells)])
    content.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(content, path)
    return path


def wait_for(what, patience=60.0):
    end = time.monotonic() + patience
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:  # one that ended but was not waited for yet counts as gone
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"
