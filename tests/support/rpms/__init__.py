"""Repositories that look like those of Azure Linux 3.0 and Edge Microvisor Toolkit 3.0, and whose packages boot.

The vendors' mirrors can't be had in tests. So the payload comes from Debian 12, and all that a composer sees of it has
the vendors' shape: names, relations, scriptlets, signatures, metadata. What is in which package says `tables/`.

    distribution.py   what tests ask for; the cache
    tables.py         the tables, read
    debian.py         Debian's packages, fetched by apt
    payload.py        from their files to the trees of our packages
    specfile.py       the spec file of a package
    build.py          rpmbuild, signatures, metadata
"""

from __future__ import annotations

from support.rpms.distribution import RpmDistribution, rpm_distribution

__all__ = ["RpmDistribution", "rpm_distribution"]
