"""Settings of the running system: units, kernel modules and settings, language and time, messages, trust."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from image_composer.spec.base import Flag, SpecModel
from image_composer.spec.text import (
    Certificate,
    FileStem,
    Keymap,
    Language,
    Line,
    ModuleName,
    ModuleOptions,
    Text,
    TimeZone,
    UnitName,
)


class DropIn(SpecModel):
    """A file that changes a unit."""

    unit: UnitName
    """Unit that it changes."""

    name: FileStem
    """Name of the file, without `.conf`."""

    content: Text
    """What it says, as in systemd.unit(5)."""

    template: Flag = Field(default=False, exclude=True)
    """Whether variables are filled in in `content`; everything is taken as it stands otherwise."""


class Unit(SpecModel):
    """A systemd unit of the document."""

    name: UnitName
    """Name of its file in /etc/systemd/system."""

    content: Text
    """What it says, as in systemd.unit(5)."""

    template: Flag = Field(default=False, exclude=True)
    """Whether variables are filled in in `content`; everything is taken as it stands otherwise."""

    enable: Flag = False
    """Whether it is started as its [Install] section says."""


class Systemd(SpecModel):
    """What systemd starts."""

    units: list[Unit] = Field(default_factory=list, max_length=128)
    """Units of the document."""

    drop_ins: list[DropIn] = Field(default_factory=list, max_length=128)
    """Changes to units, of packages or of the document."""

    enable: list[UnitName] = Field(default_factory=list, max_length=128)
    """Units of packages to be started."""

    disable: list[UnitName] = Field(default_factory=list, max_length=128)
    """Units of packages not to be started, unless something needs them."""

    mask: list[UnitName] = Field(default_factory=list, max_length=128)
    """Units that can't be started at all."""

    presets: list[Line] = Field(default_factory=list, max_length=128)
    """Lines of systemd.preset(5) for what is installed later, for example `disable *.timer`; they come before the
    distribution's."""

    default_target: UnitName | None = None
    """Target that the machine starts; the distribution's when absent."""


class KernelModules(SpecModel):
    """Kernel modules."""

    load: list[ModuleName] = Field(default_factory=list, max_length=128)
    """Loaded at every start."""

    options: dict[ModuleName, ModuleOptions] = Field(default_factory=dict, max_length=128)
    """Options by module, as in modprobe.d(5)."""

    blacklist: list[ModuleName] = Field(default_factory=list, max_length=128)
    """Never loaded for a device."""


class Rules(SpecModel):
    """A file of rules."""

    name: FileStem
    """Name of the file, without folder and ending; files are read in the order of their names."""

    content: Text
    """What it says."""


class Locale(SpecModel):
    """Language, keyboard and time."""

    language: Language | None = None
    """LANG of the system; `C.UTF-8` when absent."""

    keymap: Keymap | None = None
    """Keymap of the console, by its name in systemd's kbd-model-map where Debian's tools load it; the kernel's when
    absent."""

    time_zone: TimeZone | None = None
    """Time zone; UTC when absent."""


class Messages(SpecModel):
    """What people read before and after they log in."""

    motd: Text | None = None
    """Shown after a login (/etc/motd)."""

    issue: Text | None = None
    """Shown before a login on a console (/etc/issue)."""


class SelinuxMode(StrEnum):
    """What SELinux does."""

    ENFORCING = "enforcing"
    PERMISSIVE = "permissive"
    """It logs what it would forbid."""

    DISABLED = "disabled"


class Selinux(SpecModel):
    """SELinux in the running system."""

    mode: SelinuxMode
    """What it does. Files are labelled in the image by its own policy, unless it is disabled; the policy's package has
    to be named, and the kernel told (`security=selinux`) where it isn't by default."""


class Trust(SpecModel):
    """Whom the running system trusts beside its distribution's choice."""

    certificates: Annotated[dict[FileStem, Certificate], Field(max_length=64)] = Field(default_factory=dict)
    """Certificates of authorities (PEM), each by a name of your own."""
