import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.corpus.clips import SPLITS
from sae_core.demo.recipe import assign_splits
from sae_core.demo.sources import Voice
from sae_core.demo.splits import Person, Trait, quota, split_people
from sae_core.demo.voices import VOICES


def people(n, *traits):
    return [Person(f"p{i}", {Trait(trait, 1.0): 1.0 for trait in traits}) for i in range(n)]


@given(st.integers(0, 500))
def test_quotas_add_up_and_leave_most_in_train(n):
    train, selection, held_out = quota(n)
    assert train + selection + held_out == n
    assert selection == held_out
    assert train >= n / 4
    assert n < 6 or selection >= 2
    assert n < 8 or selection + held_out >= 6


@pytest.mark.parametrize("n", [1, 3, 5, 6, 9, 20])
def test_people_alike_are_split_by_the_quota(n):
    counts = Counter(split_people(people(n, "language=es")).values())
    assert tuple(counts[split] for split in SPLITS) == quota(n)


def test_the_split_does_not_depend_on_the_order_of_people():
    everyone = [
        Person(f"p{i}", {Trait(f"language={i % 3}", 4.0): 1.0, Trait(f"gender={i % 2}", 2.0): 1.0})
        for i in range(24)
    ]
    shuffled = everyone[:]
    random.Random(1).shuffle(shuffled)
    assert split_people(everyone) == split_people(shuffled)


def test_two_crossed_traits_are_both_balanced():
    everyone = [
        Person(f"p{i}", {Trait(f"language={i // 12}", 4.0): 1.0, Trait(f"gender={i % 2}", 2.0): 1.0})
        for i in range(24)
    ]
    splits = split_people(everyone)
    for trait in ("language=0", "language=1", "gender=0", "gender=1"):
        found = Counter(splits[p.name] for p in everyone if trait in {t.name for t in p.traits})
        assert tuple(found[split] for split in SPLITS) == quota(12)


def test_a_person_heard_in_two_languages_stands_in_one_split():
    voices = [Voice("ann", "a", "x", "en", "female"), Voice("ann", "b", "x", "es", "female")]
    voices += [Voice(f"s{i}", "a", "x", "es", "male") for i in range(8)]
    splits = assign_splits(voices)
    assert set(splits) == {"ann", *(f"s{i}" for i in range(8))}


def test_roles_of_one_actor_share_a_split():
    roles = [Voice(f"role-{i}", "a", "x", "es", "male", person="actor") for i in range(5)]
    assert len(assign_splits(roles)) == 1


def test_the_demo_meets_its_main_values_with_new_people_in_both_later_splits():
    splits = assign_splits(VOICES)
    for trait in ("es", "en", "music", "female", "male", "telephone"):
        carriers = {v.split_unit for v in VOICES if trait in (v.language, v.kind, v.gender, v.channel)}
        counts = Counter(splits[unit] for unit in carriers)
        assert counts["selection"] >= 2
        assert counts["held-out"] >= 2
        assert counts["train"] >= len(carriers) / 3
