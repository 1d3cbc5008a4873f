"""What platforms take back: zips of feedback named as they name files, and grades as Canvas's API wants them."""

from collections.abc import Mapping, Sequence

from hw_xai.files import zipped

from ..platforms.roster import Roster
from ..verdict.results import Result
from .gradebook import entered_points

PAGE = "feedback.html"


def feedback_zip(pages: Mapping[str, bytes], handles: Mapping[str, str]) -> tuple[bytes, list[str]]:
    """Return a zip with the page of each student named as the platform named the work, and who has no such name.

    Canvas: Assignment → Upload Submissions; Moodle: Upload multiple feedback files in a zip.
    """
    files = {f"{handles[student]}{PAGE}": page for student, page in pages.items() if handles.get(student)}
    return zipped(files), sorted(pages.keys() - {student for student in pages if handles.get(student)})


def canvas_grades(
    results: Sequence[Result], roster: Roster, comments: Mapping[str, str], possible: float
) -> tuple[dict, list[str]]:
    """Return the body of Canvas's bulk grade call, and whose number nobody knows. possible: out of how many points.

    POST /api/v1/courses/COURSE/assignments/ASSIGNMENT/submissions/update_grades
    """
    data, unknown = {}, []
    for result in results:
        person = roster.person(result.student)
        number = person.canvas_id or result.platform_id
        if not number and result.student not in roster.students:
            unknown.append(result.student)
            continue
        row: dict[str, object] = {"posted_grade": f"{entered_points(result, possible):g}"}
        if result.excused:
            row = {"excuse": True}
        if comments.get(result.student):
            row["text_comment"] = comments[result.student]
        data[number or f"sis_login_id:{result.student}"] = row
    return {"grade_data": data}, unknown
