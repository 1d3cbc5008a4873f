"""What a BERT reads in a typed sentence: hidden words, attention, and which words its answer rests on."""

import threading
from collections.abc import Mapping
from typing import Any

from ..errors import UserError
from ..explain import cosine_similarity
from ..language.attribution import METHODS, attribute_tokens
from ..language.bert import Bert
from ..language.layers import attentions, hidden_states
from ..language.masks import fill_mask
from ..language.questions import question
from ..language.tokens import Encoded, Word, token_at
from ..show.frame.packing import packed, rounded, shares
from ..studies.pictures import told
from ..studies.sentences import display_tokens, notices_of, read_sentences
from ..studies.tokens import TITLES
from .jobs import Job

LONGEST = 2000  # characters
LONGEST_ATTENTION = 128  # tokens: heads times tokens squared are sent
N_GUESSES = 8
SAMPLES = {"smooth_grad": 30, "lime": 200}  # a sentence has few words

# a sentence is read with another kind of attention than a model is trained with: one reader at a time
one_at_a_time = threading.Lock()


def read_sentence(bert: Bert, asked: Mapping[str, Any]) -> tuple[Encoded, list[Word], list[int]]:
    """Return the typed sentence with its words hidden that are to be, its words as they were, and which are hidden."""
    text, hidden = asked.get("text"), asked.get("hidden", [])
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST:
        raise UserError(f"the sentence must have 1 to {LONGEST} characters")
    [encoded] = read_sentences(bert, [text])
    words = encoded.words
    known = isinstance(hidden, list) and all(type(w) is int and 0 <= w < len(words) for w in hidden)
    if not known or any(words[w].special for w in hidden):
        raise UserError(f"the hidden words must be among the {len(words)} of the sentence")
    tokens = [t for w in hidden for t in words[w].tokens]
    return (encoded.put(tokens, bert.mask_id, bert.tokenizer.mask_token) if tokens else encoded), words, sorted(hidden)


def look(bert: Bert, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the words, what is expected in place of the hidden ones, and the attention of every head."""
    encoded, words, hidden = read_sentence(bert, asked)
    guesses = []
    if bert.head == "masked-lm" and any(i == bert.mask_id for i in encoded.ids):
        for one in fill_mask(bert, encoded):
            word = next(w for w, word in enumerate(words) if one.position in word.tokens)
            stood = words[word].text if len(words[word].tokens) == 1 and word in hidden else None
            own = one.of(stood.lower()) if stood and stood.lower() in one.vocabulary else None
            guesses.append({"word": word, "stood": stood, "own": own, "top": one.top(N_GUESSES)})
    found: dict[str, Any] = {
        "words": [{"text": w.text, "special": w.special, "tokens": list(w.tokens)} for w in words],
        "hidden": hidden,
        "tokens": display_tokens(bert, encoded),
        "guesses": guesses,
        "notices": notices_of([encoded]),
        "can_guess": bert.head == "masked-lm",
        "model": bert.name,
    }
    if len(encoded) <= LONGEST_ATTENTION:
        [attention] = attentions(bert, [encoded])  # (L, H, T, T)
        found["attention"] = packed(shares(attention.numpy()))
    return found


def attribute(job: Job, bert: Bert, asked: Mapping[str, Any]) -> None:
    """Tell, method by method, which words an answer rests on: {text, hidden, word, methods}."""
    methods, word = asked.get("methods"), asked.get("word")
    if not isinstance(methods, list) or not methods or any(method not in METHODS for method in methods):
        raise UserError(f"the methods must be among {', '.join(METHODS)}")
    with one_at_a_time:
        encoded, words, _ = read_sentence(bert, asked)
        if word is None:
            encoded, score = question(bert, encoded)
        elif isinstance(word, int) and 0 <= word < len(words) and not words[word].special:
            tokens = words[word].tokens
            place = _place(encoded, words[word]) if len(tokens) > 1 else (tokens[0], None)
            encoded, score = question(bert, encoded, *place)
        else:
            raise UserError(f"the word must be one of the {len(words)} of the sentence")
    for name in methods:
        title, use, signed = TITLES[name]
        try:
            with one_at_a_time:
                job.check()
                options: dict[str, Any] = {"n_samples": SAMPLES[name]} if name in SAMPLES else {}
                found = attribute_tokens(bert, encoded, name, score=score, **options)
        except (ValueError, RuntimeError) as error:
            job.tell(event="failed", method=name, title=title, sentence=told(error))
            continue
        job.tell(
            event="words",
            method=name,
            title=title,
            use=use,
            signed=signed,
            words=[w.text for w in found.words],
            values=rounded(found.scores.numpy(), 6),
            explained=found.explained,
            value=round(found.value, 4),
        )
    job.tell(event="end")


def _place(encoded: Encoded, word: Word) -> tuple[str, int]:
    """Return a word of several tokens by its text and which of its places it is."""
    for occurrence in range(1, len(encoded) + 1):
        if token_at(encoded, word.text, occurrence) == word.tokens:
            return word.text, occurrence
    raise UserError(f'"{word.text}" cannot be found again in the sentence')


def part(bert: Bert, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return how alike the vectors of a word are in two sentences, layer by layer: {texts, words}."""
    texts, words = asked.get("texts"), asked.get("words")
    if not (isinstance(texts, list) and isinstance(words, list) and len(texts) == len(words) == 2):
        raise UserError("two sentences with a word of each are compared")
    vectors = []
    for text, number in zip(texts, words, strict=True):
        encoded, there, _ = read_sentence(bert, {"text": text})
        if not isinstance(number, int) or not 0 <= number < len(there) or there[number].special:
            raise UserError(f"the word must be one of the {len(there)} of the sentence")
        [layers] = hidden_states(bert, [encoded])  # (L + 1, T, D)
        vectors.append(layers[:, list(there[number].tokens)].mean(1))  # (L + 1, D)
    alike = [float(cosine_similarity(a[None], b[None])) for a, b in zip(*vectors, strict=True)]
    return {"similarity": alike}
