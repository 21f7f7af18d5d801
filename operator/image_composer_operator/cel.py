"""What rules in CEL are made of: patterns that RE2 reads as our models do, and makers of rules that many need."""

from __future__ import annotations

from image_composer.spec.credentials import KEY_FIELDS
from image_composer.spec.outputs import PARTS
from image_composer.spec.packages import NAME, VERSION
from image_composer.spec.rules_update import PUBLIC_KEY
from image_composer_operator.structural import Rule, quoted

COMPARISONS = 800_000
"""Most comparisons of names in one expression: each costs a unit, and the loop around them costs some, too."""

WILDCARD = quoted(r"[*?\[\]]")
RANGE = quoted(r"[<>~]=|[<>(]|\s")
REQUEST = quoted(rf"^{NAME}(={VERSION})?$")

GRUB_WORD = quoted(r"""^([^\\\x27\x22 ]+=)?\x22[^\\\x27\x22]*\x22$|^[^\\\x27\x22]*$""")
"""`rules.GRUB_ARGUMENT`."""

HASH = quoted(
    r"^(\$g?y\$[./A-Za-z0-9]+\$[./A-Za-z0-9]{1,86}\$[./A-Za-z0-9]{43}"
    r"|\$7\$[./A-Za-z0-9]{11,97}\$[./A-Za-z0-9]{43}"
    r"|\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}"
    r"|\$6\$(rounds=[1-9][0-9]{3,8}\$)?[\x22#%&\x27()+,./0-9<=>?@A-Z\[\]^_`a-z{|}~-]{1,16}\$[./0-9A-Za-z]{86}"
    r"|\$5\$(rounds=[1-9][0-9]{3,8}\$)?[\x22#%&\x27()+,./0-9<=>?@A-Z\[\]^_`a-z{|}~-]{1,16}\$[./0-9A-Za-z]{43})$"
)
"""`credentials.HASH_FORMS` in one, and without looking ahead, which RE2 doesn't do."""

BROKEN_HASH = quoted(r"^(\$1\$|[./A-Za-z0-9]{13}$)")

_QUOTED = r'"([^"\\]|\\.)*"'
_OPTIONS = rf'([^ "#]|{_QUOTED})([^ "]|{_QUOTED})* +'
_KIND = "|".join(kind.replace(".", "[.]") for kind in KEY_FIELDS)

SSH_KEY = (
    rf"^\s*(({_OPTIONS})?({_KIND}) +[A-Za-z0-9+/]+=*( [^\x00-\x1f\x7f]*)?\s*"
    r"|-----BEGIN[\s\S]*)$"  # a private key: refused by a rule, whose message doesn't repeat it as a pattern's does
)
"""A line of authorized_keys, see `credentials.KEY_LINE`."""

CERTIFICATE = quoted(r"^\s*-----BEGIN CERTIFICATE-----\s+[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*$")
"""`certificate.PEM`."""

ARMOURED = Rule(f"self.contains({quoted(PUBLIC_KEY)})", "must be an ASCII-armoured OpenPGP public key")

PART_FORMATS = str(sorted(map(str, PARTS)))

NO_DOTS = Rule(r"!self.matches(r'(^|/)[.]{1,2}(/|$)')", "must not hold '.' or '..' between slashes")


def once(field: str) -> Rule:
    """Items of a list that all have different values in a field, if they have one."""
    others = f"self.exists_one(other, has(other.{field}) && other.{field} == item.{field})"
    return Rule(f"self.all(item, !has(item.{field}) || {others})", f"no two may have the same {field}")


def exactly_one(*names: str) -> Rule:
    """What is said in exactly one of several ways."""
    count = " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in names)
    return Rule(f"{count} == 1", f"must have exactly one of {', '.join(names)}")


def one_source(*names: str) -> list[Rule]:
    """What has its content from exactly one place, and downloads it with its digest only."""
    return [
        exactly_one(*names),
        Rule(
            rule="has(self.url) == has(self.sha256)",
            message="what is downloaded counts only with its digest, sha256, and nothing else has one",
        ),
    ]


def exactly_once(kind: str, what: str) -> Rule:
    """A list of partitions with one of a type."""
    return Rule(
        rule=f"self.size() == 0 || self.exists_one(partition, partition.type == '{kind}')",
        message=f"must hold {what} (type {kind}) exactly once",
    )
