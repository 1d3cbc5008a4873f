"""Times as platforms and spreadsheets write them: all the same moment, or told in a sentence."""

from datetime import datetime, timedelta, timezone

import pytest

from grading.platforms.roster import Person, Roster
from grading.platforms.times import read_times
from hw_xai.errors import UserError

HERE = timezone(timedelta(hours=8))
MOMENT = datetime(2027, 1, 15, 20, tzinfo=HERE)
ROSTER = Roster((Person("B01"),))


@pytest.mark.parametrize(
    "written",
    [
        "2027-01-15T20:00+08:00", "2027-01-15T12:00:00Z", "2027-01-15 12:00:00 UTC", "2027-01-15 20:00:00 +0800",
        "2027-01-15 20:00", "2027/1/15 20:00", "2027/1/15 20:00:00", "2027/1/15 下午 08:00", "2027/1/15 下午 8:00:00",
        "2027年1月15日(星期五) 20:00", "2027年 01月 15日(五) 20:00", "2027年01月15日 下午 8:00",
        "2027年1月15日 下午8:00", "Friday, 15 January 2027, 8:00 PM", "15 January 2027, 8:00 PM",
    ],
)  # fmt: skip
def test_a_time_is_read_however_it_is_written(tmp_path, written):
    (tmp_path / "t.csv").write_text(f'student,submitted\nB01,"{written}"\n', encoding="utf-8")
    found = read_times(tmp_path / "t.csv", ROSTER, HERE)
    assert datetime.fromisoformat(found["B01"]) == MOMENT


@pytest.mark.parametrize("written", ["1/15/2027 20:00", "15/01/2027 20:00", "Jan 15 at 8:00pm", "下午"])
def test_a_time_that_could_be_another_is_told(tmp_path, written):
    (tmp_path / "t.csv").write_text(f'student,submitted\nB01,"{written}"\n', encoding="utf-8")
    with pytest.raises(UserError, match="the time of B01 must be like"):
        read_times(tmp_path / "t.csv", ROSTER, HERE)
