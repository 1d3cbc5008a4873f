"""From a submission and what the sandbox says to a result: every status, the questions, lateness, errors of our own."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from grading.homework.exercises import EXERCISES
from grading.intake.submission import Submission
from grading.isolation.inside.calls import answers_to
from grading.isolation.sandbox import Reply
from grading.running.counting import counted
from grading.running.grade import completed, grade, not_graded
from grading.running.journal import text_of
from grading.running.late import LatePolicy, due_date, late_policy
from grading.running.rules import POOL, Course, course_data, course_from, private_seeds
from grading.verdict.results import from_data
from grading.words import Text
from hw_xai.errors import UserError

COURSE = Course(points={"cosine_similarity": 1.0, "euclidean_distance": 2.0}, seeds=(10**6, 10**7))
DUE = datetime(2026, 12, 1, 23, 59, tzinfo=UTC)


class Box:
    """A sandbox that answers with a function of ours, or with a status."""

    isolation = "bubblewrap"

    def __init__(self, **said):
        self.said, self.asked = said, []

    def run(self, source, function, calls):
        self.asked.append((source, function, len(calls)))
        said = self.said.get(function, EXERCISES[function].reference)
        if isinstance(said, str):
            return Reply(said, Text("why", "為何"))
        if isinstance(said, Exception):
            raise said
        if isinstance(said, Reply):
            return said
        return Reply("ok", Text("", ""), [answers_to(said, call) for call in calls])


def submission(**more) -> Submission:
    return Submission("b01", "Ann", {"cosine_similarity": "one", "euclidean_distance": "two"}, **more)


def test_right_functions_get_their_points_and_run_once_for_all_seeds():
    box = Box()
    result = grade(submission(), COURSE, box)
    assert [part.status for part in result.exercises] == ["passed", "passed"]
    assert (result.points, result.out_of) == (3, 3)
    assert box.asked == [("one", "cosine_similarity", 2), ("two", "euclidean_distance", 2)]
    assert {part.isolation for part in result.exercises} == {"bubblewrap"}


def test_a_known_mistake_is_named_and_drawn():
    wrong = grade(submission(), COURSE, Box(cosine_similarity=lambda a, b: a @ b.T)).exercises[0]
    assert (wrong.status, wrong.points, wrong.out_of) == ("failed", 0, 1)
    assert wrong.misconception
    assert wrong.reason.zh
    assert np.array(wrong.picture.yours).shape == np.array(wrong.picture.expected).shape == (4, 3)


def test_wrong_on_one_seed_alone_is_wrong():
    seen = []

    def learned_by_heart(a, b):
        seen.append(a)
        return EXERCISES["cosine_similarity"].reference(a, b) * (1 if len(seen) <= 2 else 0.9)

    assert grade(submission(), COURSE, Box(cosine_similarity=learned_by_heart)).exercises[0].status == "failed"


@pytest.mark.parametrize("status", ["failed", "timeout", "crashed", "out_of_memory", "not_attempted"])
def test_what_the_sandbox_says_is_the_status(status):
    part = grade(submission(), COURSE, Box(cosine_similarity=status)).exercises[0]
    assert (part.status, part.points, part.reason) == (status, 0, Text("why", "為何"))


@pytest.mark.parametrize(("cpu_seconds", "status"), [(1.0, "passed"), (29.0, "timeout"), (55.0, "timeout")])
def test_who_got_no_processor_beside_a_neighbour_s_threads_gets_another_chance(cpu_seconds, status):
    box = Box()
    late = [Reply("timeout", Text("late", "逾時"), seconds=30.0, cpu_seconds=cpu_seconds, preempted=2000)]
    run, box.run = box.run, lambda *asked: late.pop() if late else run(*asked)
    assert grade(submission(), COURSE, box).exercises[0].status == status


@pytest.mark.parametrize(
    ("preempted", "status", "tries"),
    [(1500, "not_graded", 2), (3, "timeout", 1)],
    ids=["kept from the processor", "asleep"],
)
def test_two_tries_that_got_no_processor_are_no_timeout_and_who_sleeps_has_one(preempted, status, tries):
    late = Reply("timeout", Text("late", "逾時"), seconds=30.0, cpu_seconds=4.0, preempted=preempted)
    box = Box(cosine_similarity=late)
    part = grade(submission(), COURSE, box).exercises[0]
    assert part.status == status
    assert [asked[1] for asked in box.asked].count("cosine_similarity") == tries
    assert ("too busy" in part.reason.en) == (status == "not_graded")


def test_a_cell_that_became_text_waits_for_a_person():
    asks = {"cosine_similarity": Text("it is text now", "變成文字")}
    result = grade(Submission("b01", sources={"euclidean_distance": "two"}, asks=asks), COURSE, Box())
    assert [part.status for part in result.exercises] == ["not_graded", "passed"]
    assert result.exercises[0].reason.en == "it is text now"


def test_what_the_grader_lost_is_no_zero_and_not_run_again():
    box = Box(cosine_similarity=Reply("not_graded", Text("lost", "中斷")))
    first, second = grade(submission(), COURSE, box).exercises
    assert (first.status, first.reason.en, second.status) == ("not_graded", "lost", "passed")
    assert len(box.asked) == 2


def test_no_source_was_not_attempted_and_nothing_runs():
    box = Box()
    result = grade(Submission("b01"), COURSE, box)
    assert [part.status for part in result.exercises] == ["not_attempted"] * 2
    assert not box.asked


@pytest.mark.parametrize("error", [RuntimeError("ours"), MemoryError(), OSError(28, "full")])
def test_an_error_of_ours_is_told_and_costs_one_exercise_its_grading(error):
    first, second = grade(submission(), COURSE, Box(cosine_similarity=error)).exercises
    assert first.status == "not_graded"
    assert type(error).__name__ in first.reason.en
    assert second.status == "passed"
    assert [part.status for part in not_graded(COURSE, error)] == ["not_graded"] * 2


def test_without_a_sandbox_nothing_is_graded():
    with pytest.raises(UserError):
        grade(submission(), COURSE, Box(cosine_similarity=UserError("no sandbox")))


@pytest.mark.parametrize(
    "output",
    [
        lambda a, b: np.full((4, 3), np.inf),
        lambda a, b: np.full((4, 3), 1e308),
        lambda a, b: np.full((4, 3), True),
        lambda a, b: np.zeros((0, 3)),
        lambda a, b: np.float64(3),
        lambda a, b: np.full((4, 3), 255, np.uint8),
        lambda a, b: np.full((4, 3), 1, np.longdouble),
    ],
)
def test_odd_arrays_are_wrong_answers_and_fit_into_json(output):
    result = grade(submission(), COURSE, Box(cosine_similarity=output))
    assert result.exercises[0].status == "failed"
    assert from_data(json.loads(text_of(result), parse_constant=pytest.fail)) == result


def test_pictures_do_not_show_rounding_errors():
    def off(by):
        wrong = lambda a, b: a @ b.T * (1 + by)  # noqa: E731 (a function of a number)
        return grade(submission(), COURSE, Box(cosine_similarity=wrong)).exercises[0].picture

    assert off(0) == off(1e-9)


# ----------------------------------------------------------------------------------------------- questions and lateness


def test_questions_are_scored_with_the_variant_and_complained_about():
    course = replace(COURSE, key={"Q1": frozenset({"nothing such"}), "Q2": frozenset({"nor this"})})
    result = grade(submission(answers={"Q1": 5, "Q2": "A"}), course, Box())
    assert [part.question for part in result.questions] == ["Q1", "Q2"]
    assert "Q1" in result.questions[0].complaint.en
    assert result.questions[1].complaint == Text("", "")
    assert result.out_of == 3.6


@pytest.mark.parametrize(
    ("after", "late", "deducted"),
    [
        (timedelta(0), None, 0),
        (timedelta(seconds=1), None, 0.3),
        (timedelta(days=1, seconds=1), None, 0.6),
        (timedelta(days=40), None, 1.5),
        (None, True, 0.3),
        (None, None, 0),
        (timedelta(0), True, 0),  # the course's own date counts, not the download's
    ],
)
def test_each_day_begun_costs(after, late, deducted):
    course = replace(COURSE, due=DUE, late=late_policy("10%/day,max 50%"))
    submitted = None if after is None else DUE + after
    result = grade(submission(submitted=submitted, late=late), course, Box())
    assert result.deducted == deducted
    assert result.points == 3 - deducted
    assert bool(result.remarks) == bool(deducted)


def test_late_without_a_policy_is_remarked_and_costs_nothing():
    result = counted(completed(submission(late=True), COURSE, ()), COURSE)
    assert result.deducted == 0
    assert "late" in result.remarks[0].en


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("none", LatePolicy()),
        ("10%/day", LatePolicy(0.1, 1.0)),
        ("10%/day,max 50%", LatePolicy(0.1, 0.5)),
        (" 2.5 % / day , max 20 % ", LatePolicy(0.025, 0.2)),
    ],
)
def test_late_policies_read(text, policy):
    assert late_policy(text) == policy


@pytest.mark.parametrize("text", ["10", "10%", "-1%/day", "120%/day", "10%/day,max 200%", "10%/week", "nan%/day"])
def test_other_late_policies_are_refused(text):
    with pytest.raises(UserError, match="`late_policy` must read"):
        late_policy(text)


@pytest.mark.parametrize("text", ["soon", "2026-12-41", "2026-12-01T23:59"])
def test_a_due_date_has_a_zone(text):
    with pytest.raises(UserError, match="`due` must be"):
        due_date(text)


# --------------------------------------------------------------------------------------------------------------- course


def test_a_course_survives_json():
    course = replace(COURSE, key={"Q1": frozenset({"b", "a"})}, due=DUE, late=LatePolicy(0.1, 0.5))
    assert course_from(json.loads(json.dumps(course_data(course)))) == course
    assert course_from(course_data(course)).fingerprint == course.fingerprint


def test_the_fingerprint_changes_with_what_decides_results_only():
    deciding = [{"points": {"saliency": 2.0}}, {"seeds": (1,)}, {"wall": 9.0}, {"isolation": "none"}]
    counting = [{"points": dict.fromkeys(COURSE.points, 9.0)}, {"partial": True}, {"due": DUE}]
    assert {replace(COURSE, **change).fingerprint for change in counting} == {COURSE.fingerprint}
    assert len({replace(COURSE, **change).fingerprint for change in [{}, *deciding]}) == 1 + len(deciding)
    for change in ({"language": "en"}, {"title": "x"}, {"show_answers": "all"}):
        assert replace(COURSE, **change).fingerprint == COURSE.fingerprint


def test_each_submission_is_graded_on_seeds_of_its_own():
    course = replace(COURSE, seeds=private_seeds("x", POOL), secret="x")
    drawn = {course.seeds_for(student, digest) for student in ("b01", "b02") for digest in map(str, range(50))}
    assert len(drawn) > 60
    assert all(set(seeds) <= set(course.seeds) and len(set(seeds)) == 3 for seeds in drawn)
    assert course.seeds_for("b01", "1") == course.seeds_for("b01", "1")
    assert replace(course, secret="y").seeds_for("b01", "1") != course.seeds_for("b01", "1")
    assert COURSE.seeds_for("b01", "1") == COURSE.seeds


def test_who_hands_in_again_on_gradescope_never_meets_the_same_inputs():
    course = replace(COURSE, seeds=(), secret="x")
    drawn = [seed for digest in range(300) for seed in course.seeds_for("b01", str(digest))]
    assert len(set(drawn)) > 890
    assert min(drawn) >= 10**6


def test_private_seeds_are_three_and_never_the_public_ones():
    assert private_seeds("a") != private_seeds("b")
    for secret in map(str, range(200)):
        assert len(set(private_seeds(secret))) == 3
        assert min(private_seeds(secret)) >= 10**6


def test_a_date_alone_is_the_end_of_that_day_here():
    due = due_date("2027-01-15")
    assert due.astimezone().replace(tzinfo=None) == datetime(2027, 1, 15, 23, 59, 59)
