"""Lets the modules of this folder import each other: importlib mode has no packages of tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
