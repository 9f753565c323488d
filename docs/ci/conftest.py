"""Tells `refork run` which test pytest is running, so that it can run that one alone: refork run -- pytest"""
import os
import sys

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    folder = os.environ.get("REFORK_RUN")
    if folder:
        words = [sys.executable, "-m", "pytest", "-x", item.nodeid]
        with open(os.path.join(folder, str(os.getpid())), "w") as note:
            note.write("".join(word + "\0" for word in words))
