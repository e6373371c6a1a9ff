"""What a Lambda runtime does with a new process: import the handler, and answer one event.

Run by the contender's interpreter: `start.py MODULE EVENT`. Prints the most memory that it held, in KiB.
"""

import importlib
import json
import os
import resource
import sys

answer = importlib.import_module(sys.argv[1]).handle(json.loads(sys.argv[2]), None)
assert answer["response"], answer
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
os._exit(0)  # what an interpreter does at its end is no part of a start
