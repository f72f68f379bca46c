"""`SamplingOptions`: every field has a range, and what is outside it is refused by name."""

import pytest

from tinypylm.errors import ErrorCode, OptionError
from tinypylm.options import SamplingOptions

OUTSIDE = {
    "temperature": [-0.1, 0.0005, 101, float("nan"), float("inf"), "0.8", True, None],
    "top_k": [0, -1, 1025, 40.0, "40", True, None],
    "top_p": [0, -0.5, 1.01, float("nan"), "1", True, None],
    "min_p": [-0.01, 1.01, float("nan"), "0", False, None],
    "repetition_penalty": [0, 0.05, 10.5, -1, float("nan"), float("inf"), 10**400, "1", True, None],
    "seed": [-1, 2**64, 1.5, "-1", "18446744073709551616", "0x10", "", "9" * 5000, "١", True, None],
    "max_tokens": [0, -1, 1.5, "3", True, None],
    "stop_strings": ["END", [""], ["a", 1], [None], ["x" * 257], ["a"] * 17, None],
}
INSIDE = {
    "temperature": [0, 0.001, 1, 100.0], "top_k": [1, 1024], "top_p": [0.0001, 1, 1.0], "min_p": [0, 0.05, 1],
    "repetition_penalty": [0.1, 1, 1.3, 10], "max_tokens": [1, 10**9],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in OUTSIDE for value in OUTSIDE[name]])
def test_a_value_outside_the_range_is_refused_with_the_option_and_the_range(name, value):
    with pytest.raises(OptionError) as caught:
        SamplingOptions.from_dict({name: value})
    assert caught.value.code is ErrorCode.OPTION_OUT_OF_RANGE
    assert caught.value.message.startswith(f"{name} is ")
    assert caught.value.detail["option"] == name
    assert str(caught.value.detail["expected"]) in caught.value.message


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in INSIDE for value in INSIDE[name]])
def test_the_ends_of_a_range_belong_to_it(name, value):
    assert getattr(SamplingOptions.from_dict({name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("temprature", "temperature"), ("topk", "top_k"), ("stop", "stop_strings"), ("topP", "top_p"), ("beams", None)],
)
def test_an_unknown_option_is_refused_with_the_nearest_known_one(name, nearest):
    with pytest.raises(OptionError, match=nearest or "known are temperature, top_k") as caught:
        SamplingOptions.from_dict({"seed": 1, name: 1})
    assert caught.value.code is ErrorCode.UNKNOWN_OPTION
    assert caught.value.detail == {"option": repr(name), "nearest": nearest}


def test_the_largest_seed_may_be_a_number_or_a_decimal_string():
    assert SamplingOptions.from_dict({"seed": 2**64 - 1}).seed == 2**64 - 1
    assert SamplingOptions.from_dict({"seed": "18446744073709551615"}).seed == 2**64 - 1
    assert SamplingOptions.from_dict({"seed": "0"}).seed == 0


def test_names_left_out_keep_their_defaults():
    assert SamplingOptions.from_dict({}) == SamplingOptions()
    assert SamplingOptions.from_dict({"stop_strings": ["a", "b"]}).stop_strings == ("a", "b")


def test_options_made_directly_are_checked_too():
    with pytest.raises(OptionError, match="top_k is 1025"):
        SamplingOptions(top_k=1025)
