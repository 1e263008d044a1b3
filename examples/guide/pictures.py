#!/usr/bin/env python3
"""Draws the pictures of the guide: pictures.py [folder]. Python 3 alone; the formulas are written out once more here."""

import math
import pathlib
import re
import sys

BLUE, ORANGE, GREY, LIGHT = "#0072b2", "#d55e00", "#555555", "#dddddd"
SCORES = [1.2, 3.0, 0.4, 2.1, -0.6, 2.7, 0.9, 1.7, -1.5, 2.4, 0.1, 1.5]


class Svg:
    def __init__(self, width, height):
        self.width, self.height, self.parts = width, height, []

    def line(self, x1, y1, x2, y2, color=GREY, width=1.0):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" stroke-width="{width}"/>')

    def path(self, points, color=BLUE, width=2.5):
        d = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{d}" fill="none" stroke="{color}" stroke-width="{width}"/>')

    def box(self, x, y, w, h, color=BLUE, edge="none"):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{color}" stroke="{edge}"/>')

    def ring(self, x, y, r=3.0, color=ORANGE):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="#ffffff" stroke="{color}" stroke-width="1.5"/>')

    def text(self, x, y, words, size=13, anchor="middle", color="#222222"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{color}">{words}</text>')

    def save(self, path):
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
                f'height="{self.height}" font-family="sans-serif">\n<rect width="100%" height="100%" fill="#ffffff"/>\n')
        path.write_text(head + "\n".join(self.parts) + "\n</svg>\n")


# --- the row rules ---

def power(r):
    return lambda u2: max(0.0, 1.0 - u2) ** r if u2 < 1.0 else 0.0


def box(u2):
    return 1.0 if u2 < 1.0 else 0.0


def gauss(u2):
    return math.exp(-u2 / 2.0)


def entmax(z, r):
    """p_j = [z_j / r - tau]_+^r with a sum of one: the root by bisection."""
    low, high = max(z) / r - 1.0, max(z) / r
    for _ in range(200):
        tau = 0.5 * (low + high)
        total = sum(max(0.0, z_j / r - tau) ** r for z_j in z)
        low, high = (tau, high) if total > 1.0 else (low, tau)
    return [max(0.0, z_j / r - low) ** r for z_j in z]


def divided(w):
    total = sum(w)
    return [w_j / total if total > 0.0 else 0.0 for w_j in w]


def softmax(z):
    return divided([math.exp(z_j - max(z)) for z_j in z])


def largest(z, k):
    return sorted(range(len(z)), key=lambda j: (-z[j], j))[:k]


# --- parts of a picture ---

def axes(svg, x, y, w, h, title):
    svg.line(x, y + h, x + w, y + h)
    svg.text(x + w / 2, y - 12, title)


def bars(svg, x, y, w, h, weights, title, top):
    """One bar for each weight, and a ring for each zero."""
    axes(svg, x, y, w, h, title)
    step = w / len(weights)
    for j, p in enumerate(weights):
        at = x + (j + 0.5) * step
        if p > 0.0:
            tall = max(1.0, h * p / top)
            svg.box(at - 0.32 * step, y + h - tall, 0.64 * step, tall)
        else:
            svg.ring(at, y + h - 5)
    zeros = sum(p == 0.0 for p in weights)
    svg.text(x + w / 2, y + h + 18, f"{len(weights) - zeros} keys with weight, {zeros} exactly zero", 12, color=GREY)


def profile(svg, x, y, w, h, kappa, title):
    axes(svg, x, y, w, h, title)
    svg.line(x + w / 2, y, x + w / 2, y + h, LIGHT)
    place = lambda u, k: (x + w / 2 + u * w / 4, y + h - k * h)
    points = [place(-2.0 + i / 100.0, kappa((-2.0 + i / 100.0) ** 2)) for i in range(401)]
    svg.path(points)
    for u in (-1, 0, 1):
        svg.line(*place(u, 0.0), place(u, 0.0)[0], y + h + 4)
        svg.text(place(u, 0)[0], y + h + 18, str(u), 12, color=GREY)
    svg.text(x + w - 4, y + h + 18, "u", 12, color=GREY)


def kernel(path, kappa, weights, title, how):
    svg = Svg(640, 190)
    profile(svg, 20, 34, 260, 120, kappa, title)
    bars(svg, 320, 34, 300, 120, weights, how, max(weights))
    svg.save(path)


# --- the pictures ---

def kernels(folder):
    kernel(folder / "gaussian.svg", gauss, softmax(SCORES), "κ(u) = exp(−u²/2)", "adaptive: softmax of 12 scores")
    for name, r, known in (("epanechnikov", 1, "sparsemax"), ("biweight", 2, "1.5-entmax"), ("triweight", 3, "4/3-entmax")):
        formula = "κ(u) = [1 − u²]₊" + {1: "", 2: "²", 3: "³"}[r]
        kernel(folder / f"{name}.svg", power(r), entmax(SCORES, r), formula, f"adaptive: {known} of 12 scores")
    kernel(folder / "rectified_power.svg", power(0.5), entmax(SCORES, 0.5), "κ(u) = [1 − u²]₊^½", "adaptive: 3-entmax of 12 scores")
    kept = largest(SCORES, 4)
    kernel(folder / "uniform.svg", box, [0.25 if j in kept else 0.0 for j in range(12)], "κ(u) = 1 for u &lt; 1",
           "nearest(4): top-4 of 12 scores")


def softmax_to_entmax(folder):
    svg = Svg(640, 400)
    rows = (("softmax (α = 1)", softmax(SCORES)), ("4/3-entmax", entmax(SCORES, 3)), ("1.5-entmax", entmax(SCORES, 2)),
            ("sparsemax (α = 2)", entmax(SCORES, 1)))
    top = max(max(p) for _, p in rows)
    for i, (title, p) in enumerate(rows):
        bars(svg, 20 + 315 * (i % 2), 34 + 190 * (i // 2), 285, 120, p, title, top)
    svg.save(folder / "softmax_to_entmax.svg")


def normalizations(folder):
    """The biweight kernel over the same distances d, and over z = -d^2."""
    distances = [0.2, 0.5, 0.9, 1.2, 1.7, 2.3]
    z = [-d * d for d in distances]
    fixed = divided([power(2)(d * d / 1.0) for d in distances])
    anchored = divided([power(2)((max(z) - z_j) / 2.0) for z_j in z])
    bandwidth = distances[3]
    nearest = divided([power(2)(d * d / bandwidth**2) for d in distances])
    svg = Svg(640, 400)
    rows = (("Adaptive", entmax(z, 2)), ("FixedBandwidth{1}", fixed), ("Anchored{√2}", anchored), ("NearestNeighbors{3}", nearest))
    top = max(max(p) for _, p in rows)
    for i, (title, p) in enumerate(rows):
        bars(svg, 20 + 315 * (i % 2), 34 + 190 * (i // 2), 285, 120, p, title, top)
    svg.save(folder / "normalizations.svg")


def masks(folder):
    queries, keys, cell = 3, 5, 22
    at = lambda i: i + keys - queries
    rows = (("Causal", lambda i, j: j <= at(i)), ("StrictlyCausal", lambda i, j: j < at(i)),
            ("SlidingWindow{2}", lambda i, j: at(i) - 2 < j <= at(i)), ("KeyLengths({2,5,4})", lambda i, j: j < (2, 5, 4)[i]),
            ("PyTorch is_causal", lambda i, j: j <= i))
    svg = Svg(40 + 5 * 140, 130)
    for n, (title, visible) in enumerate(rows):
        x = 20 + n * 145
        svg.text(x + keys * cell / 2, 24, title, 12)
        for i in range(queries):
            for j in range(keys):
                svg.box(x + j * cell, 36 + i * cell, cell - 2, cell - 2, BLUE if visible(i, j) else "#ffffff", "#999999")
    svg.text(20, 122, "rows: 3 queries; columns: 5 keys; blue: visible", 12, "start", GREY)
    svg.save(folder / "masks.svg")


def similarities(folder):
    """Equal weight around one query (orange) in the plane: Gaussian of each similarity, relative to its largest value."""
    q = (1.2, 0.6)
    norm = math.hypot(*q)

    def dot(x, y):
        return 2.0 * (x * q[0] + y * q[1])

    def cosine(x, y):
        length = math.hypot(x, y)
        return 6.0 * ((x * q[0] + y * q[1]) / (length * norm) - 1.0) if length > 0 else -6.0

    def distance(x, y):
        return -2.0 * ((x - q[0]) ** 2 + (y - q[1]) ** 2)

    svg, n, side = Svg(640, 250), 20, 180
    for p, (title, z) in enumerate((("DotProduct", dot), ("Cosine", cosine), ("SquaredDistance", distance))):
        x0, y0 = 25 + p * 205, 36
        svg.text(x0 + side / 2, 24, title)
        place = lambda i: -2.0 + 4.0 * (i + 0.5) / n
        svg.box(x0, y0, side, side, "#fafbff")
        values = [[z(place(i), -place(j)) for i in range(n)] for j in range(n)]
        top = max(max(row) for row in values)
        for j, row in enumerate(values):
            for i, value in enumerate(row):
                shade = round(255 - 205 * math.exp(value - top))
                cell = side / n
                if shade > 250:
                    continue
                svg.box(x0 + i * cell, y0 + j * cell, cell + 0.4, cell + 0.4, f"#{shade:02x}{min(255, shade + 40):02x}ff")
        svg.ring(x0 + (q[0] + 2) / 4 * side, y0 + (2 - q[1]) / 4 * side, 4)
    svg.text(320, 240, "one query (ring), and the weight of a key at each place of the plane: darker is more", 12, color=GREY)
    svg.save(folder / "similarities.svg")


def bandwidths(folder):
    """The motorcycle data under three bandwidths of the biweight kernel, and the leave-one-out error over all of them."""
    rows = (pathlib.Path(__file__).parent / "../data/mcycle.csv").read_text().split("\n")[2:]
    points = [tuple(float(x) for x in row.split(",")) for row in rows if row.count(",") == 1]

    def fit(x, h, but=None):
        w = [0.0 if j == but else power(2)((x - points[j][0]) ** 2 / h**2) for j in range(len(points))]
        total = sum(w)
        return sum(w_j * y for w_j, (_, y) in zip(w, points)) / total if total > 0.0 else math.nan

    def error(h):
        return sum((y - fit(x, h, j)) ** 2 for j, (x, y) in enumerate(points)) / len(points)

    candidates = [1.5 * 1.03**i for i in range(72)]
    errors = [(h, error(h)) for h in candidates]
    errors = [(h, e) for h, e in errors if not math.isnan(e)]
    best, least = min(errors, key=lambda pair: pair[1])
    svg = Svg(860, 330)
    x0, y0, w, h = 50, 30, 470, 240
    place = lambda x, y: (x0 + x / 60.0 * w, y0 + (80.0 - y) / 220.0 * h)
    axes(svg, x0, y0, w, h, "motorcycle data, biweight kernel")
    for x, y in points:
        svg.parts.append('<circle cx="{:.1f}" cy="{:.1f}" r="2.6" fill="#c3b6a6"/>'.format(*place(x, y)))
    for bandwidth, color, words in ((8.0, ORANGE, "h = 8: too smooth"), (best, BLUE, f"h = {best:.2f}: least leave-one-out error"),
                                    (1.2, "#009e73", "h = 1.2: too rough")):
        curve = [(x, fit(x, bandwidth)) for x in (i / 5.0 for i in range(12, 288))]
        run = []
        for x, y in curve + [(0.0, math.nan)]:
            if math.isnan(y):
                if len(run) > 1:
                    svg.path(run, color, 2)
                run = []
            else:
                run.append(place(x, y))
        line = y0 + h - 60 + 20 * (8.0, best, 1.2).index(bandwidth)
        svg.line(x0 + 225, line - 4, x0 + 250, line - 4, color, 2.5)
        svg.text(x0 + 258, line, words, 12, "start")
    for x in (0, 20, 40, 60):
        svg.text(place(x, 0)[0], y0 + h + 18, str(x), 12, color=GREY)
    svg.text(x0 + w / 2, y0 + h + 36, "time (ms)", 12, color=GREY)
    for y in (-100, 0, 50):
        svg.text(x0 - 6, place(0, y)[1] + 4, str(y), 12, "end", GREY)

    x0, w = 590, 240
    top = max(e for _, e in errors)
    place = lambda b, e: (x0 + math.log(b / 1.5) / math.log(candidates[-1] / 1.5) * w, y0 + h - (e - 400.0) / (top - 400.0) * h)
    axes(svg, x0, y0, w, h, "leave-one-out error")
    svg.path([place(b, e) for b, e in errors])
    svg.ring(*place(best, least), 5)
    svg.text(place(best, least)[0], place(best, least)[1] + 20, f"h = {best:.2f}", 12)
    for line, words in enumerate(("+∞ for smaller h:", "a point has no neighbour")):
        svg.text(x0 + 6, y0 + 90 + 16 * line, words, 12, "start", GREY)
    for b in (2, 4, 8, 12):
        svg.text(place(b, 0)[0], y0 + h + 18, str(b), 12, color=GREY)
    svg.text(x0 + w / 2, y0 + h + 36, "bandwidth h (ms)", 12, color=GREY)
    for e in (500, 1000, 1500):
        if e < top:
            svg.text(x0 - 6, place(2, e)[1] + 4, str(e), 12, "end", GREY)
    svg.save(folder / "bandwidths.svg")


def speedup(folder):
    """The tables of flat and sharp scores in bench/RESULTS.md: speed relative to the fastest softmax, against the support."""
    text = (pathlib.Path(__file__).parent / "../../bench/RESULTS.md").read_text()
    text = text[text.index("### Flat scores and sharp ones"):]
    tables = re.findall(r"(?:^\| *[\d.]+ \|.*\n)+", text, re.M)[:2]
    svg, w, h = Svg(860, 330), 340, 230
    names = (("sparsemax", BLUE), ("1.5-entmax", "#009e73"), ("4/3-entmax", ORANGE))
    for p, (table, title, top) in enumerate(zip(tables, ("forward", "forward and backward"), (3.0, 8.0))):
        x0, y0 = 60 + p * 430, 34
        place = lambda keys, ratio: (x0 + math.log10(keys) / math.log10(3000.0) * w, y0 + h - ratio / top * h)
        svg.text(x0 + w / 2, 20, title)
        svg.box(x0, place(1, 1)[1], w, y0 + h - place(1, 1)[1], "#f7e8e0")
        svg.text(x0 + 8, place(1, 1)[1] + 18, "slower", 12, "start", GREY)
        svg.line(x0, place(1, 1)[1], x0 + w, place(1, 1)[1], GREY)
        for ratio in range(1, int(top) + 1):
            svg.text(x0 - 8, place(1, ratio)[1] + 4, str(ratio), 12, "end", GREY)
        for keys in (1, 10, 100, 1000):
            svg.text(place(keys, 0)[0], y0 + h + 18, str(keys), 12, color=GREY)
        svg.text(x0 + w / 2, y0 + h + 38, "keys with weight, of 2,048", 12, color=GREY)
        for column, (name, color) in enumerate(names):
            points = []
            for row in table.strip().split("\n"):
                cells = [cell.strip() for cell in row.strip("|").split("|")]
                ours, keys = re.fullmatch(r"([\d.]+) \((\d+)\)", cells[2 + column]).groups()
                points.append(place(float(keys), float(cells[5].split()[0]) / float(ours)))
            svg.path(points, color)
            for x, y in points:
                svg.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>')
            if p == 0:
                svg.line(x0 + w - 110, y0 + 14 + 20 * column, x0 + w - 85, y0 + 14 + 20 * column, color, 2.5)
                svg.text(x0 + w - 78, y0 + 18 + 20 * column, name, 12, "start")
    svg.text(430, 324, "speed relative to the fastest softmax (ONNX Runtime forward, PyTorch both ways), one thread, AVX2 (Zen 3)", 12)
    svg.save(folder / "speedup.svg")


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "pictures")
    folder.mkdir(parents=True, exist_ok=True)
    for draw in (kernels, softmax_to_entmax, normalizations, masks, similarities, bandwidths, speedup):
        draw(folder)


if __name__ == "__main__":
    main()
