"""What a hostile submission is: a piece of code that goes before an exercise's function, and how it must end.

Corpus: the themes beside this file, each a list ATTACKS. The code may use T, a dict of targets (pids, ports, files),
`reached(what)`, to be called with whatever was got at: the tests look for that word in all that comes out; and
`canaries_in(data)`, the secrets in a text or in bytes.
"""

from dataclasses import dataclass

RIGHT = """
def cosine_similarity(a, b):
    import torch
    return torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(b, dim=1).T
"""
ZERO = """
def cosine_similarity(a, b):
    return a.new_zeros(len(a), len(b))
"""
DISTANCE = """
import torch
def euclidean_distance(a, b):
    return (a[:, None] - b[None]).square().sum(dim=2).sqrt()
"""
PREAMBLE = """T = {targets!r}
def reached(what): print('REACHED', what)
def canaries_in(data):  # whole ones: what one looks for lies in one's own memory, too
    import re
    return re.findall("".join(T["needle"]) + "[0-9a-f]{{24}}", data if type(data) is str else data.decode("latin-1"))
"""


@dataclass(frozen=True)
class Attack:
    """source and then: the code of the exercise cosine_similarity, worth 1 point; second: what comes before the honest
    code of the next one, euclidean_distance. ends: the statuses it may have, by tier where they differ only in words;
    says: words of the reason, one of which must be there. honest: what cosine_similarity deserves, 0 or 1."""

    name: str
    tries: str
    source: str
    ends: str = "failed"
    says: str = "zero everywhere"
    then: str = ZERO
    second: str = ""
    honest: int = 0
    slow: bool = False

    def sources(self, targets: dict) -> dict[str, str]:
        """Return exercise -> code as intake would have it."""
        preamble = PREAMBLE.format(targets=targets)
        return {
            "cosine_similarity": f"{preamble}{self.source}\n{self.then}",
            "euclidean_distance": f"{preamble}{self.second}\n{DISTANCE}",
        }


def harmless(name: str, tries: str, source: str, **more: object) -> Attack:
    """Return an attack beside a right solution, which keeps its point."""
    return Attack(name, tries, source, **{"ends": "passed", "says": "right", "then": RIGHT, "honest": 1} | more)
