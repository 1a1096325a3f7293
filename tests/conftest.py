"""What every test shares: one thread, so that small networks don't wait for each other's cores."""

import torch

torch.set_num_threads(1)
