"""Make hw_xai/show/fonts/chinese.otf: the Chinese characters of every figure, where the machine has no font with them.

    python docs/make_font.py /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc

The source is Noto Sans CJK (Debian: fonts-noto-cjk; licence: hw_xai/show/fonts/OFL.txt), its face for Traditional
Chinese. Kept are the first levels of Big5 (5,401 common Traditional characters) and of GB 2312 (3,755 Simplified ones),
punctuation, and every character of data/sentences, the built-in vocabularies and the notebooks. Needs fontTools, which
comes with matplotlib. The same source gives the same bytes.
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTCollection, TTFont

ROOT = Path(__file__).parent.parent
OUT = ROOT / "hw_xai/show/fonts/chinese.otf"
FACE = "Noto Sans CJK TC"
FAMILY = "hw_xai Chinese"  # a name of its own: an installed Noto Sans CJK has more characters, and goes first
OURS = ("data/sentences/*", "data/*/tokenizer.json", "data/*/vocab.txt", "notebooks/*.py", "hw_xai/language/*.py")
MARKS = (range(0x20, 0x7F), range(0x2010, 0x2028), range(0x3000, 0x3020), range(0x3041, 0x3130), range(0xFF01, 0xFF60))


def characters() -> set[int]:
    """Return the code points that are kept."""
    kept = {point for marks in MARKS for point in marks}
    for codec, first, last in (("big5", 0xA4, 0xC6), ("gb2312", 0xB0, 0xD7)):
        pairs = (bytes([high, low]) for high in range(first, last + 1) for low in range(0x40, 0xFF))
        kept |= {ord(text) for pair in pairs if len(text := pair.decode(codec, "ignore")) == 1}
    texts = (path.read_text(encoding="utf-8") for pattern in OURS for path in ROOT.glob(pattern) if path.is_file())
    return kept | {ord(character) for text in texts for character in text if ord(character) >= 0x2E80}


def face(path: str) -> TTFont:
    """Return the face for Traditional Chinese of a collection."""
    return next(font for font in TTCollection(path).fonts if font["name"].getDebugName(1) == FACE)


def main(source: str) -> None:
    font = face(source)
    font.recalcTimestamp = False
    options = subset.Options(layout_features=[], hinting=False, desubroutinize=False, notdef_outline=True)
    options.drop_tables += ["vhea", "vmtx", "VORG", "BASE", "DSIG"]  # of vertical writing
    maker = subset.Subsetter(options)
    maker.populate(unicodes=characters())
    maker.subset(font)
    for number, name in ((1, FAMILY), (3, FAMILY), (4, FAMILY), (6, FAMILY.replace(" ", "-"))):
        font["name"].setName(name, number, 3, 1, 0x409)
    font["name"].names = [record for record in font["name"].names if record.nameID in (0, 1, 2, 3, 4, 6, 13, 14)
                          and record.langID == 0x409]  # fmt: skip
    cff = font["CFF "].cff
    cff.fontNames = [FAMILY.replace(" ", "-")]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    font.save(OUT)
    print(f"{OUT.relative_to(ROOT)}: {len(font.getBestCmap()):,} characters, {OUT.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(sys.argv[1])
