"""The studio: a local web app. Drop a photo, paint over it, type a sentence, and see each explanation answer."""

import argparse
import importlib.util
import sys
import webbrowser

from ...errors import UserError, how_to_add
from ..options import add, model_of, port


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add(
        parser, "--model", action="append", help="network to offer beside those shipped, see `explain`; may be repeated"
    )
    for flag in ("--weights", "--classes", "--normalize", "--device"):
        add(parser, flag)
    parser.add_argument(
        "--language-model",
        default="built-in",
        metavar="MODEL",
        help="built-in, minilm, e5, a folder or hub id (built-in)",
    )
    parser.add_argument("--port", type=port, default=7860, help="port to listen on, 0 for any (default: %(default)s)")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on: any other than this machine's own lets everybody who reaches it in (%(default)s)",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def run(options: argparse.Namespace) -> None:
    if any(importlib.util.find_spec(library) is None for library in ("starlette", "uvicorn")):
        raise UserError(f"the studio needs an extra: {how_to_add('studio')}")
    from ...studio.guard import is_loopback  # late: the extra studio
    from ...studio.models import Models  # late: the extra studio
    from ...studio.server import Server, Studio  # late: the extra studio

    names = options.model or ["foodnet-photos"]
    asked = {name: value for name, value in model_of(options).items() if name != "device"}
    if len(names) > 1 and (asked["weights"] or asked["classes"]):
        raise UserError("`weights` and `classes` belong to one `model`, got several: start one studio for each")
    models = Models(names, options.language_model, options.device, asked)
    models.load(names[0])  # a mistake is told now, not in the page
    server = Server(Studio(models), options.host, options.port)
    if not is_loopback(options.host):
        print(
            f"beware: everybody who reaches {options.host} can use this studio, there is no password, and what they "
            "send is read on this machine",
            file=sys.stderr,
        )
    print(f"the studio is open at {server.url} (Ctrl-C ends it)", flush=True)
    if options.open:
        webbrowser.open(server.url)
    server.run()
