"""Bring food-11 in: import an archive, check what is there."""

import argparse

from ...vision.food11.archive import import_archive
from ...vision.food11.check import check
from ..options import add


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    unpack = actions.add_parser("import", help="unpack a zip or tar archive of food-11, safely")
    unpack.add_argument("archive")
    add(unpack, "--out", "--root", default="food11", help="new folder for the photos (--root: its earlier name)")
    add(unpack, "--max-gigabytes")
    unpack.add_argument("--force", action="store_true", help="move an earlier folder aside instead of stopping")

    look = actions.add_parser("check", help="find unreadable photos, odd names, missing classes and duplicates")
    look.add_argument("root", metavar="FOLDER")


def run(options: argparse.Namespace) -> int:
    if options.action == "import":
        max_bytes = int(options.max_gigabytes * 2**30)
        print(import_archive(options.archive, options.out, max_bytes=max_bytes, force=options.force))
        return 0
    report = check(options.root)
    print(report.table())
    return 0 if report.ok else 1
