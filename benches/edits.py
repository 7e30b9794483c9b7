#!/usr/bin/env python3
"""What an edit costs: a tenth of a tree's files changed, then a folder moved, beside indexing it all.

Question: which share of the full time does it take to follow an edit of every tenth file, and does moving a folder embed anything?
Data: the tree given (the measured one is `rust-docs-tree`), or its first --files files by name; each edit puts one sentence into the middle of a
file. The tree is copied aside first.

    benches/edits.py WAYPOST TREE [--files N]
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import tempfile


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("waypost", help="the program")
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("--files", type=int, default=0, help="of the tree; 0: all")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        tree, home = pathlib.Path(folder) / "tree", pathlib.Path(folder) / "home"
        found = sorted(path for path in arguments.tree.rglob("*") if path.is_file())
        for path in found[: arguments.files or len(found)]:
            to = tree / path.relative_to(arguments.tree)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)

        def index():
            command = [arguments.waypost, "--home", str(home), "index", str(tree), "--json"]
            return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)

        def say(what, report):
            share = report["seconds"] / full["seconds"]
            print(
                f"{what:28} {report['seconds']:8.1f} s  {share:6.1%}   {report['updated']:5} files changed, "
                f"{report['chunks_embedded']:6} chunks embedded of {report['chunks']}",
                flush=True,
            )

        full = index()
        say("everything", full)
        say("nothing changed", index())
        files = sorted(path for path in tree.rglob("*") if path.is_file())
        for number, path in enumerate(files[::10]):
            lines = path.read_bytes().split(b"\n")
            lines.insert(len(lines) // 2, f"Edit {number} says that the harbour closes at dusk.".encode())
            path.write_bytes(b"\n".join(lines))
        say("every tenth file edited", index())
        folders = [path for path in tree.iterdir() if path.is_dir()]
        moved = max(folders, key=lambda path: sum(1 for _ in path.rglob("*")))
        moved.rename(moved.with_name(moved.name + "-moved"))
        say("the largest folder moved", index())


main()
