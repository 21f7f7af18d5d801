"""The recipes, and that the two files named Containerfile make the same images from a registry's base."""

from __future__ import annotations

import re
import tomllib

import pytest

from containers.recipes import (
    BUILDER_GROUPS,
    CHECKOUT,
    ENVIRONMENT,
    PYTHON,
    RELEASE,
    SETUP,
    SOLV_LIBRARIES,
    UNPRIVILEGED,
    Recipe,
    host_packages,
    recipes,
)
from image_composer.provider import load_providers

RECIPES = {recipe.name: recipe for recipe in recipes()}
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]


def containerfile(recipe: Recipe) -> str:
    """Give the file with continued lines joined, without comments."""
    text = (CHECKOUT / recipe.name / "Containerfile").read_text()
    return re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")


def final_stage(recipe: Recipe) -> str:
    return containerfile(recipe).rpartition("\nFROM ")[2]


def test_packages_are_read_by_group_and_by_their_first_name() -> None:
    text = "# build  not-this  x\n\nbuild  tar  tar  unpacks\nboot  ovmf  -  starts\nbuild  one|other  -  either\n"
    assert host_packages(text, "build") == ("tar", "one")


def test_only_what_needs_rights_is_started_as_root() -> None:
    assert {name: recipe.user for name, recipe in RECIPES.items()} == {"builder": "", "operator": "65532:65532"}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
class TestEachRecipe:
    def test_starts_a_command_of_the_project(self, recipe: Recipe) -> None:
        assert recipe.program in PROJECT["scripts"]

    def test_has_pins(self, recipe: Recipe) -> None:
        assert "--hash=sha256:" in (SETUP / recipe.requirements).read_text()

    def test_is_built_from_a_release_that_is_known(self, recipe: Recipe) -> None:
        assert RELEASE in load_providers()["debian"].releases()

    def test_has_a_containerfile_that_starts_the_same(self, recipe: Recipe) -> None:
        assert f'ENTRYPOINT ["{recipe.program}"]' in final_stage(recipe)
        users = re.findall(r"^USER (.*)$", final_stage(recipe), re.MULTILINE)
        assert users == ([recipe.user] if recipe.user else [])

    def test_has_a_containerfile_with_the_same_pins_and_python(self, recipe: Recipe) -> None:
        text = containerfile(recipe)
        assert f"--only-binary :all:          -r builder/setup/{recipe.requirements}" in text
        assert re.findall(r"^ARG BASE=(.*)$", text, re.MULTILINE) == [f"python:{PYTHON}-slim-bookworm"]
        assert text.count("--require-hashes") == 2

    def test_has_a_containerfile_with_the_same_environment(self, recipe: Recipe) -> None:
        for name, value in {**ENVIRONMENT, **recipe.environment}.items():
            assert re.search(rf"\b{name}=(\S*:)?{re.escape(value)}(\s|$)", final_stage(recipe)), name


def test_the_builders_containerfile_installs_the_same_packages() -> None:
    text = final_stage(RECIPES["builder"])
    assert f"$1 ~ /^({'|'.join(BUILDER_GROUPS)})$/" in text
    assert all(f" {name} " in text for name in SOLV_LIBRARIES)


def test_the_operators_containerfile_knows_the_same_user() -> None:
    text = final_stage(RECIPES["operator"])
    assert f"--uid {UNPRIVILEGED} --gid {UNPRIVILEGED}" in text
    assert "ca-certificates" in text


def test_what_the_files_copy_is_sent_to_whoever_builds() -> None:
    sent = {line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for recipe in RECIPES.values():
        for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", containerfile(recipe), re.MULTILINE):
            for name in copied.split():
                assert any(name.rstrip("/") == entry or name.startswith(f"{entry}/") for entry in sent), name
