"""Which regions of an input are shown together: random subsets, drawn so that few of them tell much."""

import torch
from torch import Tensor


def balanced_subsets(n_subsets: int, n_regions: int, source: torch.Generator) -> Tensor:
    """Return which regions each subset shows: bool (n_subsets, K). Any number of first rows is balanced as well.

    Each subset is drawn like K fair coins, but not independently of the others: every second one is the complement of
    the one before, and in blocks of the least power of two above K two regions are shown together as often as apart.
    So what one region does is blurred neither by another one nor by what two of them do together. Sylvester 1867;
    Box and Hunter 1961, Technometrics 3.
    """
    hadamard = torch.zeros(1, 1, dtype=torch.bool)
    while len(hadamard) <= n_regions:
        hadamard = torch.cat([torch.cat([hadamard, hadamard], dim=1), torch.cat([hadamard, ~hadamard], dim=1)])
    size = len(hadamard)
    blocks = []
    for _ in range(-(-n_subsets // (2 * size))):
        rows = torch.randperm(size, generator=source)
        columns = 1 + torch.randperm(size - 1, generator=source)[:n_regions]  # column 0 is the same in all rows
        flipped = torch.rand(n_regions, generator=source) < 0.5
        blocks.append(hadamard[rows][:, columns] ^ flipped)  # (size, K)
    subsets = torch.cat(blocks)
    return torch.stack([subsets, ~subsets], dim=1).flatten(0, 1)[:n_subsets]
