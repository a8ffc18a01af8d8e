"""A pytest plugin: the kernel of ``make asan-bindings`` in the place of the installed one."""

import importlib.util
import os
import sys

NAME = "densnet.integrals._kernel"

specification = importlib.util.spec_from_file_location(NAME, os.environ["SANITIZED_KERNEL"])
assert specification is not None
assert specification.loader is not None
module = importlib.util.module_from_spec(specification)
sys.modules[NAME] = module
specification.loader.exec_module(module)
