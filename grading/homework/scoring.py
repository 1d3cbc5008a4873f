"""Points for the answers to the questions: ten in all. Answers are data, and whatever they hold, nothing is raised."""

from collections.abc import Mapping

from ..words import Text
from .questions import Question, chosen, letters, load_questions

Key = Mapping[str, frozenset[str]]
LONGEST = 40  # characters of an answer that can still be meant


def score(answers: object, key: Key, variant: int = 0, partial: bool = False) -> dict[str, float]:
    """Return question -> points for answers such as {"Q1": "A", "Q2": "AC"}.

    All right options must be chosen and no other. partial: as many points as decisions are right beyond chance:
    points · max(0, 2 · share − 1) with one decision for each option. A single choice is right or wrong, not partly.
    Malformed and missing answers get 0; `complaints` says why.
    """
    points = {}
    for name, right in key.items():
        question = load_questions()[name]
        read = _read(question, answers, variant)
        share = share_of(question, read, right, partial) if isinstance(read, frozenset) else 0.0
        points[name] = round(question.points * share, 4)
    return points


def marked(answers: object, variant: int = 0) -> dict[str, tuple[str, ...]]:
    """Return question -> the names of the options that were chosen, for those that can be read."""
    read = _read_all(answers, variant)
    return {name: tuple(sorted(found)) for name, found in read.items() if isinstance(found, frozenset)}


def complaints(answers: object, variant: int = 0) -> dict[str, Text]:
    """Return question -> a sentence about an answer that is missing or cannot be read."""
    read = _read_all(answers, variant)
    return {name: found for name, found in read.items() if isinstance(found, Text)}


def share_of(question: Question, read: frozenset[str], right: frozenset[str], partial: bool) -> float:
    """Return which share of a question's points the chosen options give."""
    if not partial or not question.multiple:
        return float(read == right)
    decisions = [(option in read) == (option in right) for option in question.options]
    return max(0.0, 2 * sum(decisions) / len(decisions) - 1)


def _read_all(answers: object, variant: int) -> dict[str, frozenset[str] | Text]:
    return {name: _read(question, answers, variant) for name, question in load_questions().items()}


def _read(question: Question, answers: object, variant: int) -> frozenset[str] | Text:
    """Return the options that an answer means, or what is wrong with it."""
    name = question.name
    if not isinstance(answers, Mapping):
        return Text(f"{name}: the answers must be a dict of letters.", f"{name}：答案必須是由字母組成的 dict。")
    answer = answers.get(name, "")
    listed = isinstance(answer, list | tuple | set) and all(isinstance(letter, str) for letter in answer)
    if not isinstance(answer, str) and not listed:
        return Text(f'{name}: an answer must be letters such as "AC".', f'{name}：答案必須是字母，例如 "AC"。')
    text = " ".join(answer) if listed else answer
    if not text.strip():
        return Text(f"{name}: not answered.", f"{name}：尚未作答。")
    known = ", ".join(letters(question, variant))
    try:
        if len(text) > LONGEST:
            raise ValueError
        read = chosen(question, text, variant)
    except ValueError:
        return Text(f"{name}: only the letters {known} can be chosen.", f"{name}：只能選擇 {known}。")
    if not read:
        return Text(f"{name}: not answered.", f"{name}：尚未作答。")
    if len(read) > 1 and not question.multiple:
        return Text(f"{name}: choose one option only.", f"{name}：這題是單選題，只能選一個。")
    return read
