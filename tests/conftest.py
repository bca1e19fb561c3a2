"""Settings of all tests: they measure results, not time, and may run beside other work on the same cores."""

import torch
from hypothesis import settings

# Tiny networks on several threads mostly wait for each other; on a busy machine that is a hundred times slower.
torch.set_num_threads(1)
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
