"""Any YAML is judged within a second: 10,000 mutations of a dataset file, each a dataset whose DAGs
can be made and kept, or an error with file, line, field, what was expected and what was received.

Usage: python benchmarks/odd_files.py [--small] [--mutations 10000] [--seed 7]
"""

from __future__ import annotations

import argparse
import os
import random
import re
import runpy
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tsad_tasks.base.errors import ConfigError
from tsad_tasks.config import DatasetConfig, load_config

PROJECT = Path(__file__).resolve().parents[1]
JUDGED_S = 1.0
# Problems are told in lines of this form, and at most twenty of them.
LINE = re.compile(r"(:\d+: .+: Expected .+\. Received: .*\.|: and [\d,]+ more\.)")
MAX_LINES, MAX_CHARACTERS = 21, 1700
GOOD = """\
dataset: room
description: A room
site_zone: Europe/Berlin
source:
  connection: plant
  tables: [plant.metrics, "plant.machine_*"]
  time: {column: at, zone: Europe/Berlin}
  entity: {from_table: "machine_(.*)"}
  step: 1min
  late_rows_within: 3h
  channels:
    cpu: &usual {unit: "%", sensor_range: [0, 100], valid_for: 2min}
    load: {<<: *usual, aggregate: max}
    "fan 1": {unit: 1/min, sensor_range: [-1.5e+3, null]}
running_when: cpu > 3 and not (load == 1 or `fan 1` < 2)
startup_grace: 10min
features: {scaling: robust, rolling_mean: [5, 60], cyclic: [hour, weekday], holidays: DE-BY}
detector: {name: lstm_autoencoder, window: 10, params: {}}
threshold: {kind: adaptive, k: 6, look_back: 1000}
alarm_policy: {merge_gap: 30min, consecutive: 3, min_deviation: {cpu: 2}}
training: {range: 30d, schedule: "0 3 * * MON", seed: 7, epochs: 8, preview: manual}
shadow: {hours: 24, approve: manual}
report: {schedule: "@weekly", period: 7d}
notifications:
  targets: [{email: [shift@example.com], news: [promoted]}, {webhook: chat}]
retention: {readings: 400d}
"""

# What may stand where a value belongs: of each type of YAML, and what is nearly of it.
VALUES = {
    "nothing": "~", "an empty text": '""', "a space": '" "', "a text": "word",
    "a truth": "yes", "a false truth": "!!bool perhaps", "a tagged null": "!!null x",
    "a date": "2024-01-31", "a date that is none": "2024-13-45", "the thirtieth of February":
    "2023-02-30", "a time": "2024-01-31 10:00:00", "an hour that is none": "2024-01-31 25:61:00",
    "an offset that is none": "2024-01-31T10:00:00+99:99", "year 0": "0000-01-01",
    "a year of one digit": "1-01-01", "a tagged time": "!!timestamp soon",
    "zero": "0", "minus one": "-1", "half": "0.5", "binary digits": "0b_", "hexadecimal": "0x_",
    "octal": "0777", "an octal that is none": "089", "sixties": "190:20:30", "many sixties":
    "1" + ":59" * 400, "64 bits": str(2**63 - 1), "65 bits": str(2**64), "500 digits": "9" * 500,
    "5,000 digits": "9" * 5000, "infinite": ".inf", "minus infinite": "-.inf", "no number": ".nan",
    "a float too large": "1.0e+999", "a float too small": "1.0e-999", "a tagged whole number":
    "!!int ten", "a tagged float": "!!float ten", "dots and lines": "._", "a point": ".",
    "an empty list": "[]", "an empty mapping": "{}", "a list": "[1, [2, [3]]]", "a list of lists":
    "[[[[[[[[[[]]]]]]]]]]", "a mapping": "{a: {b: {c: {d: 1}}}}", "a key that is a list":
    "{[1]: 2}",
    "a key that is nothing": "{~: 2}", "a key that is a date": "{2024-01-31: 2}",
    "keys that are equal": "{1: a, true: b, 1.0: c}", "a set": "!!set {a, b}", "an ordered mapping":
    "!!omap [a: 1]", "pairs": "!!pairs [a: 1]", "bytes": "!!binary aGk=", "bytes that are none":
    "!!binary ä", "a Python object": "!!python/object/apply:os.getpid []", "a Python name":
    "!!python/name:os.system", "an unknown tag": "!sensor 5", "a tag by address": "!<x:y> 5",
    "a tagged text": "!!str 5", "a tagged list": "!!str [5]", "a mapping called list":
    "!!seq {a: 1}",
    "an equals sign": "=", "a merge sign": "<<", "a merged text": "{<<: text}", "a merged list":
    "{<<: [1, 2]}", "an alias of nothing": "*nothing", "an anchor within itself": "&own [*own]",
    "a NUL": r'"\0"', "a bell": r'"\a"', "a terminal's escape": r'"\e[2J"', "half a surrogate":
    r'"\ud800"', "a surrogate pair": r'"\ud83d\ude00"', "the last character": r'"\U0010ffff"',
    "beyond the last character": r'"\U00110000"', "right to left": r'"\u202eabc"', "two lines":
    r'"a\nb"', "10,000 characters": "x" * 10_000, "10,001 characters": "x" * 10_001,
    "braces": '"{{ 7 * 7 }} %s {0} ${HOME}"', "Markdown": '"```</pre><script>"', "a quote":
    "'it''s'",
    "an open quote": '"open', "an at sign": "@x", "a backtick": "`x`", "a percent sign": "%x",
}  # fmt: skip
PLACES: dict[str, Callable[[str], str]] = {
    "file": lambda value: f"{value}\n",
    "dataset": lambda value: _replaced("room", value),
    "description": lambda value: _replaced("A room", value),
    "site_zone": lambda value: GOOD.replace("Europe/Berlin\nsource", f"{value}\nsource"),
    "connection": lambda value: _replaced("connection: plant", f"connection: {value}"),
    "tables": lambda value: _replaced('[plant.metrics, "plant.machine_*"]', value),
    "from_table": lambda value: _replaced('"machine_(.*)"', value),
    "step": lambda value: _replaced("step: 1min", f"step: {value}"),
    "channel": lambda value: _replaced('"fan 1":', f"? {value}\n    :"),
    "low": lambda value: _replaced("-1.5e+3", value),
    "aggregate": lambda value: _replaced("aggregate: max", f"aggregate: {value}"),
    "running_when": lambda value: re.sub(
        "(?m)^running_when:.*", _as_is(value, "running_when"), GOOD
    ),
    "lag": lambda value: _replaced("rolling_mean: [5", f"lag: [{value}], rolling_mean: [5"),
    "holidays": lambda value: _replaced("DE-BY", value),
    "params": lambda value: _replaced("params: {}", f"params: {{units: {value}}}"),
    "detector": lambda value: _replaced("lstm_autoencoder", value),
    "min_deviation": lambda value: _replaced("{cpu: 2}", f"{{{value}: 2}}"),
    "schedule": lambda value: _replaced('"0 3 * * MON"', value),
    "seed": lambda value: _replaced("seed: 7", f"seed: {value}"),
    "email": lambda value: _replaced("shift@example.com", value),
    "retention": lambda value: _replaced("{readings: 400d}", value),
}
CONDITIONS = {
    "deep brackets": "(" * 150 + "cpu > 3" + ")" * 150, "many brackets": "(" * 400 + "cpu",
    "many nots": "not " * 240 + "cpu > 3", "many signs": "-" * 900 + "cpu > 3", "a long sum":
    "+".join(["cpu"] * 240) + " > 3", "many ands": " and ".join(["cpu > 3"] * 90), "a large number":
    "cpu > " + "9" * 900, "an infinite one": "cpu > 1e999", "a power": "cpu > 9**9**9**9", "shifts":
    "cpu > 1 << 999999", "a call": "__import__('os').getpid() > 3", "an attribute": "cpu.x > 3",
    "an index": "cpu[0] > 3", "a lambda": "(lambda: cpu)() > 3", "a generator":
    "any(x for x in cpu)", "an assignment": "(x := cpu) > 3", "a text": "cpu > 'a'", "a truth":
    "cpu > True", "a complex number": "cpu > 3j", "backticks": "`cpu > 3", "an empty name":
    "`` > 3",
    "a format": "cpu > f'{cpu}'", "two lines": r"cpu >\n 3", "a NUL": r"cpu\0 > 3", "a comment":
    "cpu > 3 # or not", "characters": "ä" * 990, "too long": "cpu > 3 or " * 100, "is":
    "cpu is 3", "in": "cpu in [3]", "nothing": " ", "a star": "cpu > *load", "yield": "(yield) > 3",
}  # fmt: skip
SCHEDULES = ["0 0 31 2 *", "0 0 29 2 *", "* * * * * *", "0 0 L * *", "0 0 * * 5#3", "0 0 * * L5",
    "@reboot", "@yearly", "*/0 * * * *", "0-59/61 * * * *", "5-1 * * * *", "0 3 * * 1-8",
    "0 " + ",".join(map(str, range(24))) + " * * *", ",".join(["0"] * 5000) + " 3 * * *",
    "H H * * *", "٣ 3 * * *", "1e3 * * * *", "* * ? * ?"]  # fmt: skip
PATTERNS = ["(a+)+", "(" * 120 + ")" * 120, "(x{4294967295})", "(x{65535}){65535}",
    "(?i)[a-\U0010ffff]()",
    "(?P<n>x)(?P=n)", "(?(1)a|b)", "()" * 240, "(?R)()", r"(\N{DIGIT ONE})", "(?<=a*)()", "(?L)()",
    "[[a]()", "(?i:[\u0001-\U0010ffff])" * 20 + "()", "((?s)x)", "(a" * 600]  # fmt: skip


SIGNS = "{}[]&*!|>%@\"'#,:-?=<~\n\t \r\0\x07\u2028\ufeffä"


def _replaced(old: str, new: str) -> str:
    assert GOOD.count(old) >= 1, old
    return GOOD.replace(old, new, 1)


def _as_is(value: str, field: str) -> Callable[[re.Match[str]], str]:
    return lambda _: f"{field}: {value}"


def _in(place: str, texts: dict[str, str]) -> dict[str, str]:
    return {name: PLACES[place](_quoted(text)) for name, text in texts.items()}


def _quoted(text: str) -> str:
    return (
        '"' + text.replace('"', '\\"') + '"'
        if "\\" in text
        else "'" + text.replace("'", "''") + "'"
    )


def shapes() -> dict[str, str]:
    """Whole files by what is odd in them: how deep, large or entangled they are."""
    nested = "".join(" " * i + f"k{i}:\n" for i in range(200))
    laughs = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]\n" for i in range(1, 12))
    merges = "".join(f"m{i}: &m{i} {{<<: [*m{i - 1}, *m{i - 1}], k{i}: 1}}\n" for i in range(1, 60))
    chain = "".join(f"c{i}: &c{i} [*c{i - 1}]\n" for i in range(1, 300))
    channels = "".join(f"    s{i}: {{unit: W, sensor_range: [0, 9]}}\n" for i in range(1500))
    wrong = channels.replace("unit", "units")
    return {
        "nested mappings": nested,
        "nested in a setting": GOOD.replace(
            "params: {}", "params: " + "{a: " * 60 + "1" + "}" * 60
        ),
        "as deep as may be": GOOD.replace("params: {}", "params: " + "{a: " * 15 + "1" + "}" * 15),
        "a billion laughs": f"l0: &l0 [ha]\n{laughs}",
        "laughs in a setting": f"l0: &l0 [ha]\n{laughs[:300]}\n{GOOD}",
        "merges of merges": f"m0: &m0 {{k0: 1}}\n{merges}",
        "a chain of aliases": f"c0: &c0 []\n{chain}",
        "many aliases": "a: &a x\nb: [" + "*a, " * 5000 + "*a]\n",
        "many anchors": "\n".join(f"a{i}: &a{i} x" for i in range(9000)),
        "many directives": "".join(f"%TAG !t{i}! x:{i}\n" for i in range(500)) + "---\na: b\n",
        "many documents": "---\na: b\n" * 500,
        "many wrong channels": GOOD.replace('    "fan 1"', f'{wrong}    "fan 1"'),
        "many channels": GOOD.replace('    "fan 1"', f'{channels}    "fan 1"'),
        "many unknown keys": GOOD + "".join(f"unknown_{i}: {i}\n" for i in range(5000)),
        "many keys, then one twice": "".join(f"k{i}: 1\n" for i in range(9000)) + "k0: 2\n",
        "many tables": _replaced("[plant.metrics", "[" + ", ".join(f"p.t{i}" for i in range(9000))),
        "a long key": "x" * 900 + ": 1\n",
        "a very long key": "? " + "x" * 9000 + "\n: 1\n",
        "a long line": "a: " + "x " * 400_000,
        "a long comment": GOOD + "# " + "x" * 900_000,
        "many comments": "# x\n" * 200_000 + GOOD,
        "many empty lines": "\n" * 900_000 + GOOD,
        "too many bytes": GOOD + "# x\n" * 300_000,
        "a folded text": "a: >\n" + "  x\n\n" * 1500,
        "carriage returns": GOOD.replace("\n", "\r"),
        "a mark in the middle": GOOD.replace("A room", "A \ufeff room"),
        "tabs": GOOD.replace("  ", "\t"),
        "in brackets": "{" + ", ".join(["a: [1]"] * 2000) + "}",
        "a list at the top": "- a\n" * 9000,
        "one number": "7",
        "questions": "? " * 60 + "a",
        "dashes": "- " * 60 + "a",
    }


def kinds() -> dict[str, str]:
    """Texts of odd files, by what is odd."""
    found = {f"{what} as {place}": made(value) for what, value in VALUES.items()
             for place, made in PLACES.items()}  # fmt: skip
    found |= {f"condition: {what}": text for what, text in _in("running_when", CONDITIONS).items()}
    for place, texts in (("schedule", SCHEDULES), ("from_table", PATTERNS)):
        found |= {f"{place}: {text[:40]}": PLACES[place](_quoted(text)) for text in texts}
    return found | {f"shape: {what}": text for what, text in shapes().items()}


def judged(path: Path, content: bytes) -> tuple[DatasetConfig | None, list[str], float]:
    """The dataset in a file, or None, what is wrong with how it was judged, and CPU-seconds."""
    path.write_bytes(content)
    began_s, config, faults = time.process_time(), None, list[str]()
    try:
        config = load_config(path)
    except ConfigError as error:
        lines = str(error).split("\n")
        starts = [line.startswith(str(path)) for line in lines]
        rest = [line.removeprefix(str(path)) for line in lines]
        odd = [line for line in rest if not LINE.fullmatch(line) or len(line) > MAX_CHARACTERS]
        if odd or not all(starts) or len(lines) > MAX_LINES:
            faults.append(f"no clear message: {(odd or rest)[0][:200]!r}, {len(lines)} lines")
    except Exception as error:
        faults.append(f"a traceback: {type(error).__name__}: {str(error)[:200]}")
    cpu_s = time.process_time() - began_s
    return config, [*faults, *[f"{cpu_s:.1f} CPU-seconds"] * (cpu_s > JUDGED_S)], cpu_s


def mutations(n: int, seed: int) -> Iterator[bytes]:
    """The dataset file with one to four random changes, which may leave no YAML or no UTF-8."""
    chance = random.Random(seed)
    for _ in range(n):
        text = GOOD
        for _ in range(chance.randint(1, 4)):
            text = mutated(text or "-", chance)
        content = text.encode()
        if chance.random() < 0.05:
            at = chance.randrange(len(content) + 1)
            content = content[:at] + chance.randbytes(chance.randint(1, 3)) + content[at:]
        yield content


def mutated(text: str, chance: random.Random) -> str:
    """The text with one change: of a line, of a few characters, or of one word."""
    lines = text.split("\n")
    i, line = chance.choice([*enumerate(lines)])
    before, after = lines[:i], lines[i + 1 :]
    start, end = sorted(chance.choices(range(len(text) + 1), k=2))
    word = chance.choice([*re.finditer(r"[\w.*/@+-]+", text)] or [*re.finditer(r"(?s).", text)])
    head, tail = text[: word.start()], text[word.end() :]
    changes: list[Callable[[], str]] = [
        lambda: "\n".join([*before, *after]),
        lambda: "\n".join([*before, line, line, *after]),
        lambda: "\n".join([*before, " " * chance.randint(1, 3) + line, *after]),
        lambda: "\n".join([*before, line.lstrip(), *after]),
        lambda: "\n".join(chance.sample(lines, len(lines))),
        lambda: text[:start] + chance.choice(SIGNS) + text[start:],
        lambda: text[:start] + text[start + chance.randint(1, 20) :],
        lambda: text[:start] + text[start:end] * chance.randint(2, 40) + text[end:],
        lambda: text[:start],
        lambda: head + chance.choice([*VALUES.values()]) + tail,
        lambda: head + f"[{word[0]}]" + tail,
        lambda: head + word[0] * 50 + tail,
    ]
    return chance.choice([*changes, changes[9], changes[9]])()


def dag_maker(folder: Path) -> Callable[[DatasetConfig], None]:
    """A function that makes a dataset's DAGs as Airflow keeps them."""
    (folder / "datasets").mkdir()
    os.environ |= {"AIRFLOW_HOME": str(folder), "TSAD_DATASETS": str(folder / "datasets")}
    os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{folder}/unused.db"
    sys.path.insert(0, str(PROJECT / "plugins"))
    dataset_dags: Any = runpy.run_path(str(PROJECT / "dags" / "tsad_dags.py"))["dataset_dags"]
    from airflow.serialization.serialized_objects import DagSerialization

    def made(config: DatasetConfig) -> None:
        for dag in dataset_dags(config):
            dag.timetable.validate()
            DagSerialization.to_json(dag)

    return made


def main() -> None:
    """Judge kinds and mutations, make the DAGs of those that are datasets, print what failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="500 mutations, for CI")
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    n, seen = 500 if asked.small else asked.mutations, set[str]()
    n_failed = n_datasets = 0
    slowest = 0.0, ""
    with tempfile.TemporaryDirectory(prefix="tsad-bench-") as name:
        make, path = dag_maker(Path(name)), Path(name) / "room.yaml"
        # What the first file of a process pays for is not counted against any.
        judged(path, GOOD.encode())
        found = [(what, text.encode()) for what, text in kinds().items()]
        found += [(f"mutation {i}", text) for i, text in enumerate(mutations(n, asked.seed))]
        for what, content in found:
            config, faults, cpu_s = judged(path, content)
            slowest = max(slowest, (cpu_s, what))
            said = config and config.model_dump_json()
            if config and said and said not in seen:
                seen.add(said)
                try:
                    make(config)
                except Exception as error:
                    faults.append(f"no DAGs: {type(error).__name__}: {str(error)[:300]}")
            n_datasets += config is not None
            if faults:
                n_failed += 1
                print(f"{what}: {'; '.join(faults)}")
    print(f"{len(found)} files: {n_datasets} datasets, {len(seen)} different; {n_failed} failed")
    print(f"slowest: {slowest[0]:.2f} CPU-seconds, {slowest[1]}")
    sys.exit(1 if n_failed else 0)


if __name__ == "__main__":
    main()
