"""Code, words and names that harm whoever writes or reads the reports, after the sandbox and its verdict.

CODES: name -> (what it tries, the function's code): for a lexer, a parser, or the eyes of who reads it.
"""

HEAD = "def cosine_similarity(a, b):\n"
TAIL = """    first, second = (t / t.square().sum(dim=1, keepdim=True).sqrt().clamp(min=1e-12) for t in (a, b))
    rows = [first[i] * second[j] for i in range(len(first)) for j in range(len(second))]
    return sum(rows[0].new_zeros(1) + row.sum() for row in rows).new_tensor([float(row.sum()) for row in rows])
"""
MARKS = "\u0301\u0323"


def line(code: str) -> str:
    return f"{HEAD}    {code}\n{TAIL}"


CODES = {
    "zeros of a format": ("quadratic for a lexer", line(f'x = "%{"0" * 19_000}"')),
    "zeros of formats": ("the same in many lines", line("\n    ".join(f'x = "%{"0" * 900}"' for _ in range(20)))),
    "zeros in a long text": ("the same over many lines", line('x = """%' + ("0" * 900 + "\n") * 20 + '"""')),
    "names of signs": ("escapes that never end", line(f'x = "{"N{" * 6000}"'.replace("N{", "\\N{"))),
    "marks in a text": ("a name to normalize, hidden in an f-string", line(f'x = f"{{a{MARKS * 9000}}}"')),
    "marks in texts": ("many of them", line("\n    ".join(f'x = f"{{a{MARKS * 400}}}"' for _ in range(20)))),
    "assigned": ("one value for ten thousand names", line("=".join(["a"] * 9000))),
    "decorated": ("ten thousand decorators", "@len\n" * 4000 + HEAD + TAIL),
    "chains": ("attributes of attributes", line("x = a" + ".b" * 9000)),
    "else if": ("three thousand branches", line("if a: a\n" + "    elif a: a\n" * 1400)),
    "turned": ("reads otherwise than it runs", line('x = "\u202e \u2066# the honest way\u2069 \u2066"')),
    "invisible": ("names that look the same", line("aa = 1; a\u200ba = 2; \u0430 = 3")),
    "markup": ("ends the page's elements", line("x = '</code></pre></script><script>alert(1)</script><!--'")),
    "template": ("speaks the language of templates", line("x = '{{ 7 * 7 }}{% raw %}${7*7}'")),
    "terminal": ("moves the cursor", line("x = '\x1b]0;evil\x07\x9b2J\x1b[31m'")),
}
