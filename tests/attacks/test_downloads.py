"""Whatever lies in a class's download: it is listed in seconds and little memory, and honest work is found."""

import resource
import sys
import time

import pytest
from attack import RIGHT
from downloads import DOWNLOADS
from handing_in import notebook

from grading.intake import metadata
from grading.intake.child import ReadingLimits
from grading.intake.contents import read_submission
from grading.intake.submissions import find_submissions

MB = 2**20


SLOW = {"a number without end", "metadata without end", "metadata of millions"}  # until the child's clock


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in DOWNLOADS])
def test_download(name, tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "LIMITS", ReadingLimits(cpu_seconds=2))
    _, make, words = DOWNLOADS[name]
    for folder in ("submission_1", "submission_2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "5_embeddings.ipynb").write_bytes(notebook(RIGHT))
    make(tmp_path)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    intake = find_submissions(tmp_path)
    assert time.process_time() - start < 5  # in this process
    if sys.platform == "linux":
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024
    said = " ".join(remark.en for remark in intake.remarks)
    assert words is None or words in said
    assert len(said) < 20_000
    assert "Traceback" not in said
    honest = [
        one for one in intake.submissions if "cosine_similarity" in read_submission(one, ["cosine_similarity"]).sources
    ]
    assert len(honest) == 2
