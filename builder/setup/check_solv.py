"""Check that the `solv` installed can read deb repositories: the wheel on the package index can't."""

import sys

import solv

if not hasattr(solv.Repo, "add_debpackages"):
    sys.exit("this build of solv was made without Debian support (ENABLE_DEBIAN)")
if solv.Pool().setdisttype(solv.Pool.DISTTYPE_DEB) != 0:
    sys.exit("this build of solv compares versions in one way only (it lacks MULTI_SEMANTICS)")
