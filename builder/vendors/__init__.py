"""Asks the distributions' real repositories whether what the manifests say still holds; `make vendor-check` calls it.

Tests work with archives made to look like the vendors'. This resolves one small image of every release against what the
vendors (or the mirrors that this machine's settings name) publish today, so that a moved repository, a new key or a
package that went is found here, not by a user. It verifies metadata and resolves; it fetches no package.
"""
