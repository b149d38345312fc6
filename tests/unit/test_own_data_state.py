"""A build notices that a file of the user's own data was changed, added or removed."""

from __future__ import annotations

import os

import pytest

from harness.config import load_config
from harness.tables.plans import Plans
from harness.workflow.inputs import RuleInputs

ENTRY = """
mine:
  title: Mine
  layout: mvtec
  access: open
  path: PATH
  categories: {thing: {title: Thing, kind: object}}
"""
PROTOCOL = """
id: own
title: own data
extends: demo
stand_ins: {mvtec_ad: mine}
methods: {}
"""


@pytest.fixture
def own(tmp_path):
    """A folder with one image, and the configuration that names it."""
    image = tmp_path / "data" / "thing" / "train" / "good" / "0.png"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"1")
    (tmp_path / "own.yaml").write_text(PROTOCOL)
    (tmp_path / "mine.yaml").write_text(ENTRY.replace("PATH", str(tmp_path / "data")))
    files = {"extra_datasets": [str(tmp_path / "mine.yaml")], "extra_protocols": [str(tmp_path / "own.yaml")]}
    return image, lambda: RuleInputs(Plans(load_config(files))).recipe("own", "mine", "thing", 64)


def test_an_untouched_folder_gives_the_same_recipe(own):
    _, recipe = own
    assert recipe() == recipe()


@pytest.mark.parametrize("change", ["content", "date", "added", "removed"])
def test_any_change_gives_another_recipe(own, change):
    image, recipe = own
    before = recipe()
    match change:
        case "content":
            image.write_bytes(b"22")
        case "date":
            os.utime(image, ns=(1, 1))
        case "added":
            image.with_name("1.png").write_bytes(b"3")
        case "removed":
            image.unlink()
    assert recipe() != before


def test_published_data_are_not_looked_at(own):
    _, _ = own
    grid = Plans(load_config({}))
    assert RuleInputs(grid).recipe("demo", "demo_textures", "brick", 64) == grid.plan("demo").recipe(
        grid.plan("demo").at("demo_textures", "brick", "ae_l2", 0), 64
    )
