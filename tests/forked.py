"""Runs a script in the process that the fixture `forked` has started, with its output in a log.

Globals: `script`, its `arguments`, and `log`.
"""

import os
import runpy
import sys
import traceback

known = globals()
descriptor = os.open(known["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
for stream in (1, 2):
    os.dup2(descriptor, stream)
try:
    runpy.run_path(known["script"], {"arguments": known["arguments"]}, "__main__")
except BaseException:
    traceback.print_exc()
    sys.stderr.flush()
    os._exit(1)
sys.stdout.flush()
