"""Debian's short names of licences and the SPDX identifiers that mean the same.

Debian's names are those of the machine-readable copyright format 1.0, section 7.2, and the spellings that packages
really use. A name that stands for different texts in different packages (`BSD`, `public-domain`, `permissive`) has
no identifier here on purpose: it is kept with its text instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_GNU = re.compile(r"(gpl|lgpl|agpl|gfdl|gfdl-niv)-?v?([0-9](?:\.[0-9])?)(\+|-only|-or-later)?", re.ASCII)

_GNU_VERSIONS: Mapping[str, frozenset[str]] = {
    "gpl": frozenset({"1.0", "2.0", "3.0"}),
    "lgpl": frozenset({"2.0", "2.1", "3.0"}),
    "agpl": frozenset({"1.0", "3.0"}),
    "gfdl": frozenset({"1.1", "1.2", "1.3"}),
    "gfdl-niv": frozenset({"1.1", "1.2", "1.3"}),
}

_SAME_NAME = (
    "0BSD AFL-1.1 AFL-1.2 AFL-2.0 AFL-2.1 AFL-3.0 Apache-1.0 Apache-1.1 Apache-2.0 Artistic-2.0 Beerware BSD-1-Clause "
    "BSD-2-Clause BSD-3-Clause BSD-4-Clause BSD-4-Clause-UC BSD-Source-Code BSL-1.0 bzip2-1.0.6 CC-BY-1.0 CC-BY-2.0 "
    "CC-BY-2.5 CC-BY-3.0 CC-BY-4.0 CC-BY-SA-1.0 CC-BY-SA-2.0 CC-BY-SA-2.5 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 CDDL-1.0 "
    "CDDL-1.1 CPL-1.0 curl ECL-2.0 EFL-1.0 EFL-2.0 EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 FSFAP FSFUL FSFULLR FTL HPND ICU "
    "IJG ISC JSON Libpng LPPL-1.0 LPPL-1.1 LPPL-1.2 LPPL-1.3a LPPL-1.3c MIT MIT-0 MIT-CMU MPL-1.0 MPL-1.1 MPL-2.0 NCSA "
    "NTP OFL-1.0 OFL-1.1 OLDAP-2.8 OpenSSL PHP-3.0 PHP-3.01 PostgreSQL PSF-2.0 Python-2.0 QPL-1.0 Ruby Sleepycat "
    "SSH-OpenSSH TCL Unicode-DFS-2015 Unicode-DFS-2016 Unlicense Vim W3C WTFPL X11 Zlib ZPL-1.1 ZPL-2.0 ZPL-2.1"
)

_OTHER_NAME: Mapping[str, str] = {
    "apache-1": "Apache-1.0",
    "apache-2": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",  # Debian's common-licenses/Artistic is Perl's variant
    "artistic-1": "Artistic-1.0-Perl",
    "artistic-2": "Artistic-2.0",
    "bsl-1": "BSL-1.0",
    "cc-by-3": "CC-BY-3.0",
    "cc-by-4": "CC-BY-4.0",
    "cc-by-sa-3": "CC-BY-SA-3.0",
    "cc-by-sa-4": "CC-BY-SA-4.0",
    "cc0": "CC0-1.0",
    "cc0-1": "CC0-1.0",
    "cddl-1": "CDDL-1.0",
    "cpl-1": "CPL-1.0",
    "epl-1": "EPL-1.0",
    "epl-2": "EPL-2.0",
    "expat": "MIT",
    "mit/x11": "MIT",
    "mpl-1": "MPL-1.0",
    "mpl-2": "MPL-2.0",
    "ofl-1": "OFL-1.0",
    "openldap-2.8": "OLDAP-2.8",
    "perl": "Artistic-1.0-Perl OR GPL-1.0-or-later",
    "qpl-1": "QPL-1.0",
}

IDENTIFIERS: Mapping[str, str] = {
    **{name.lower(): name for name in _SAME_NAME.split()},
    **_OTHER_NAME,
}
"""SPDX identifier or expression by Debian's name in lower case; the GNU family is computed."""

EXCEPTIONS: Mapping[str, str] = {
    "bison": "Bison-exception-2.2",
    "classpath": "Classpath-exception-2.0",
    "font": "Font-exception-2.0",
    "libtool": "Libtool-exception",
    "linux-syscall-note": "Linux-syscall-note",
    "llvm": "LLVM-exception",
}
"""SPDX exception by the keyword before Debian's `exception`, where the keyword leaves no doubt about the text."""


def spdx_identifier(name: str) -> str | None:
    """Give the SPDX expression that means the same as one of Debian's short names; None when there is none."""
    lowered = name.lower()
    return _gnu_identifier(lowered) or IDENTIFIERS.get(lowered)


def _gnu_identifier(name: str) -> str | None:
    match = _GNU.fullmatch(name)
    if match is None:
        return None
    family, number, suffix = match.groups()
    version = number if "." in number else f"{number}.0"
    if version not in _GNU_VERSIONS[family]:
        return None
    ending = "only" if suffix in (None, "-only") else "or-later"
    if family == "gfdl-niv":
        return f"GFDL-{version}-no-invariants-{ending}"
    return f"{family.upper()}-{version}-{ending}"
