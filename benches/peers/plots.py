"""Draws how our measures grow with the size of the data.

Question: which measure grows faster than the data, and which does not grow?
Data: GROWTH.jsonl, as our bench writes it: {"what": "chunks" | "workspaces" | "principals", "n", "ingest_s", "p50_ms",
"p99_ms", "memory_bytes", "disk_bytes", "open_ms"} a line; fields may lack.
What the exponents do not tell: anything beyond the largest size, or a step between two sizes.

    python benches/peers/plots.py GROWTH.jsonl OUTDIR

The first run makes an environment with the versions of `requirements.txt`. For each `what` it writes
`OUTDIR/growth-WHAT.svg`, one panel a measure, both axes logarithmic. The exponent b is fitted by least squares to
log(measure) = a + b log(n): 1 is in proportion to the data, 0 does not grow. The same numbers give the same file.

Prints the exponents as a table.
"""

import argparse
import pathlib

import products  # Enters the environment.

import matplotlib
import numpy as np

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "waypost"
matplotlib.rcParams["svg.fonttype"] = "none"  # Letters stay letters: a small file, and a readable diff.
matplotlib.rcParams["font.size"] = 8

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator, StrMethodFormatter  # noqa: E402

# Field: title and scale to its unit.
MEASURES = {
    "ingest_s": ("ingest, s", 1.0),
    "p50_ms": ("query p50, ms", 1.0),
    "p99_ms": ("query p99, ms", 1.0),
    "memory_bytes": ("memory, MB", 1e-6),
    "disk_bytes": ("disk, MB", 1e-6),
    "open_ms": ("open, ms", 1.0),
}
COLUMNS = 3
INK, LINE, GRID = "#1f3a5f", "#c8553d", "#dddddd"


def points(rows, field):
    """Sizes and values in order, without zeros: those have no logarithm."""
    pairs = sorted((row["n"], row[field] * MEASURES[field][1]) for row in rows if row.get(field) and row["n"] > 0)
    return np.array(pairs, dtype=float).reshape(-1, 2).T


def fit(sizes, values):
    """Gives (b, a), or none for fewer than two sizes."""
    if len(set(sizes)) < 2:
        return None
    return np.polyfit(np.log(sizes), np.log(values), 1)


def draw_panel(axes, title, what, sizes, values):
    axes.set(title=title, xlabel=what, xscale="log", yscale="log")
    axes.grid(color=GRID, linewidth=0.5)
    axes.plot(sizes, values, "o", color=INK, markersize=3.5)
    fitted = fit(sizes, values)
    if fitted is not None:
        ends = np.array([sizes.min(), sizes.max()])
        axes.plot(ends, np.exp(np.polyval(fitted, np.log(ends))), color=LINE, linewidth=1)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.text(0.05, 0.88, f"n^{fitted[0]:.2f}", transform=axes.transAxes, color=LINE, bbox=box)
    axes.margins(0.1)
    show_decade(axes, values)
    label(axes)


def show_decade(axes, values):
    """A measure that does not grow must look flat: each panel shows a factor of ten at least."""
    low, high = axes.get_ylim()
    if high / low < 10:
        middle = np.sqrt(values.min() * values.max())
        axes.set_ylim(middle / np.sqrt(10), middle * np.sqrt(10))


def label(axes):
    """Plain numbers instead of powers of ten."""
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 200 else (1,)))
        axis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def draw(what, rows, path):
    """Writes the picture and gives the exponents: field to b."""
    panels = {field: points(rows, field) for field in MEASURES}
    panels = {field: pair for field, pair in panels.items() if pair.size}
    if not panels:
        return {}
    n_columns, n_lines = min(COLUMNS, len(panels)), -(-len(panels) // COLUMNS)
    size = (2.7 * n_columns, 2.4 * n_lines)
    figure, grid = plt.subplots(n_lines, n_columns, figsize=size, squeeze=False, layout="constrained")
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    exponents = {}
    for axes, (field, (sizes, values)) in zip(grid.flat, panels.items()):
        draw_panel(axes, MEASURES[field][0], what, sizes, values)
        fitted = fit(sizes, values)
        exponents[field] = None if fitted is None else fitted[0]
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return exponents


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("growth", type=pathlib.Path, metavar="GROWTH.jsonl")
    parser.add_argument("outdir", type=pathlib.Path, metavar="OUTDIR")
    args = parser.parse_args()

    args.outdir.mkdir(parents=True, exist_ok=True)
    groups = {}
    for row in products.read_lines(args.growth):
        groups.setdefault(row["what"], []).append(row)
    exponents = {what: draw(what, rows, args.outdir / f"growth-{what}.svg") for what, rows in groups.items()}

    columns = {"sizes": lambda row: row["sizes"]}
    for field, (title, _) in MEASURES.items():
        columns[title.split(",")[0]] = lambda row, field=field: products.cell(row, field)
    for what, found in exponents.items():
        sizes = [row["n"] for row in groups[what]]
        found["sizes"] = f"{min(sizes):,}–{max(sizes):,}"
    print(products.table(columns, exponents))


if __name__ == "__main__":
    main()
