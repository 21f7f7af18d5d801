from image_composer.disk.identity import Identity


def test_equal_digests_give_equal_ids_and_others_don_t() -> None:
    first, again, other = Identity("a" * 64), Identity("a" * 64), Identity("b" * 64)
    assert first.disk() == again.disk() != other.disk()
    assert first.fat_id("esp") == again.fat_id("esp") != other.fat_id("esp")


def test_every_role_has_its_own_id() -> None:
    identity = Identity("a" * 64)
    ids = {identity.disk(), identity.partition("root"), identity.filesystem("root"), identity.hash_seed("root")}
    assert len(ids) == 4
    assert identity.partition("root") != identity.partition("home")


def test_ids_stay_the_same_across_releases_of_the_composer() -> None:
    identity = Identity("0" * 64)
    assert str(identity.disk()) == "6ee2c411-6f1a-5c8e-ac23-6aa00d46ab29"
    assert identity.fat_id("esp") == "5545DC8C"
    assert identity.disk().version == 5


def test_partitions_that_outlive_a_version_are_found_by_the_next() -> None:
    lasting = {"var": "c" * 64, "ESP": "c" * 64}
    one, two = Identity("a" * 64, lasting), Identity("b" * 64, lasting)
    assert one.filesystem("var") == two.filesystem("var") != one.filesystem("ESP")
    assert one.fat_id("ESP") == two.fat_id("ESP")
    assert one.filesystem("root") != two.filesystem("root")
    assert one.partition("var") == two.partition("var") != one.filesystem("var")
    assert one.partition("root") != two.partition("root")
