"""docs/reference/dataset_file.md: every key is described, and the example given for it is taken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.contracts.test_detector_guides import SOURCE
from tsad_tasks.base.places import project_folder
from tsad_tasks.base.settings import Section
from tsad_tasks.base.variants import SOURCES
from tsad_tasks.config import DatasetConfig
from tsad_tasks.config.descriptions import descriptions, examples, key_of
from tsad_tasks.config.reference import Block, blocks, keys_page, settings_example
from tsad_tasks.config.sections import FileSection
from tsad_tasks.detectors.registry import DETECTORS

PAGE = project_folder() / "docs" / "reference" / "dataset_file.md"
BLOCKS = [*blocks()]
VARIANTS = {
    **{f"kind {kind}": SOURCES[kind].settings_model for kind in SOURCES},
    **{name: DETECTORS[name].settings_model for name in DETECTORS},
}
OF_VARIANTS = [
    Block(f"{name} {block.place}", block.section)
    for name, model in VARIANTS.items()
    for block in blocks(model)
]
SENTENCE = re.compile(r"[A-Z0-9].{10,}[\w%>`)\]']\.")


def _place(block: Block) -> str:
    return block.place or "top"


def _config(example: str) -> DatasetConfig:
    """The dataset that an example makes of one that says only what it must."""
    source: dict[str, Any] = SOURCE | {"channels": {"flow": {}, "pressure": {}}}
    fields = yaml.safe_load(example)
    said = fields.get("source", {})
    if isinstance(said, list):
        return DatasetConfig.model_validate(fields)
    absent = ["tables"] * ("query" in said) + ["entity"] * ("series" in said)
    if "series" in said:
        source = {"value_column": "value"} | source
    source = {name: value for name, value in source.items() if name not in absent}
    made = {"dataset": "pumps"} | fields | {"source": source | fields.get("source", {})}
    return DatasetConfig.model_validate(made)


def _keys(value: Any, place: str) -> Iterator[str]:
    """Keys of the mappings at a place of a file."""
    part, _, further = place.partition(".")
    if isinstance(value, list):
        for one in value:
            yield from _keys(one, place)
    elif not part:
        yield from value
    elif part.startswith("<"):
        for one in value.values():
            yield from _keys(one, further)
    elif part.removesuffix("[]") in value:
        yield from _keys(value[part.removesuffix("[]")], further)


def test_the_page_is_current() -> None:
    """After a change of the sections: tsad datasets reference > docs/reference/dataset_file.md."""
    assert PAGE.read_text(encoding="utf-8") == keys_page()


def test_its_links_lead_somewhere() -> None:
    page = PAGE.read_text(encoding="utf-8")
    titles = re.findall(r"^## (.*)$", page, re.MULTILINE)
    anchors = [re.sub(r"[^a-z0-9 _-]", "", one.lower()).replace(" ", "-") for one in titles]
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) == set(anchors)
    assert all((PAGE.parent / path).is_file() for path in re.findall(r"\]\(([^#)]+)\)", page))


@pytest.mark.parametrize("block", BLOCKS + OF_VARIANTS, ids=_place)
def test_every_key_is_described_in_whole_sentences(block: Block) -> None:
    told = descriptions(block.section)
    for name, field in block.section.model_fields.items():
        text = told[key_of(block.section, name)]
        assert SENTENCE.fullmatch(text), f"{block.place}.{name}: {text!r}"
        if not field.is_required() and field.get_default(call_default_factory=True) is None:
            assert re.search(r"By default|null", text), f"{block.place}.{name}: {text!r}"


def test_every_block_is_told() -> None:
    assert len(BLOCKS) == len({*_subclasses(FileSection)})


def _subclasses(section: type[Section]) -> Iterator[type[Section]]:
    for one in section.__subclasses__():
        yield from (one, *_subclasses(one))


@pytest.mark.parametrize("block", BLOCKS, ids=_place)
def test_its_examples_are_taken_and_show_every_key(block: Block) -> None:
    assert issubclass(block.section, FileSection)
    shown: set[str] = set()
    for example in examples(block.section):
        assert _config(example)
        shown.update(_keys(yaml.safe_load(example), block.place))
    fields = block.section.model_fields.items()
    assert shown == {
        key_of(block.section, name) for name, field in fields if not field.json_schema_extra
    }


@pytest.mark.parametrize("name", DETECTORS)
def test_the_example_of_a_detector_is_taken_and_shows_every_setting(name: str) -> None:
    example = settings_example(name)
    assert _config(example).detector.name == name
    params = yaml.safe_load(example)["detector"]["params"]
    assert list(params) == list(DETECTORS[name].settings_model.model_fields)
    assert None not in params.values()


@pytest.mark.parametrize(
    ("key", "default"),
    [
        ("merge_gap", "30min, or two steps where they are longer"),
        ("score_every", "`1h`"),
        ("dataset", "must be there"),
        ("running_when", "machines always run"),
    ],
)
def test_a_default_is_said_in_words_where_it_fits_itself_to_others(key: str, default: str) -> None:
    [row] = [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| `{key}` |")
    ]
    assert row.split(" | ")[2] == default
