"""How much more may be spent, over plain values."""

from hypothesis import given, strategies as st

from foxvideo.batch.budget import Budget, Verdict

GO, WAIT, STOP = Verdict


def begun(budget: Budget, *models: str) -> Budget:
    """Return a budget in which tasks of these models are under way."""
    for model in models:
        budget.begin(model)
    return budget


def test_without_a_limit_anything_goes() -> None:
    """Even where nobody says what it costs."""
    budget = begun(Budget(None), "fox", "fox")
    budget.silence("fox")

    assert budget.verdict("fox") is GO


def test_the_first_task_of_a_model_goes_out_alone() -> None:
    """Until its reservation is told, nothing else goes out."""
    budget = Budget(100)

    assert budget.verdict("fox") is GO
    begun(budget, "fox")
    assert budget.verdict("fox") is WAIT
    assert budget.verdict("owl") is WAIT
    budget.report("fox", 10)
    assert budget.verdict("fox") is GO


def test_a_model_that_is_new_waits_for_what_is_under_way() -> None:
    """Its cost is not known, so it is not added to an estimate."""
    budget = Budget(100)
    budget.add("fox", 10)
    begun(budget, "fox")

    assert budget.verdict("owl") is WAIT
    budget.report("fox", 10)
    assert budget.verdict("owl") is GO


def test_what_is_under_way_counts_as_the_largest_that_was_told() -> None:
    """It stops waiting where the reports turn out smaller."""
    budget = Budget(50)
    budget.add("fox", 10)
    budget.add("fox", 5)
    begun(budget, "fox", "fox")  # 15 + 2 x 10, one more would be 45

    assert budget.verdict("fox") is GO
    begun(budget, "fox")
    assert budget.verdict("fox") is WAIT
    budget.report("fox", 5)  # 20 + 2 x 10
    assert budget.verdict("fox") is GO


def test_it_stops_and_says_so_where_one_more_would_pass_the_limit() -> None:
    """With nothing under way nothing can change any more."""
    budget = Budget(25)
    budget.add("fox", 10)
    budget.add("fox", 10)

    assert budget.verdict("fox") is STOP
    assert budget.reason == "20 credits are reserved, and one more fox would pass the 25"
    assert budget.verdict("owl") is STOP


def test_a_limit_that_is_reached_lets_no_unknown_model_through() -> None:
    """A limit of nothing buys nothing."""
    budget = Budget(0)

    assert budget.verdict("fox") is STOP


def test_exactly_the_limit_may_be_spent() -> None:
    """The limit is what may be reserved, not what may not."""
    budget = Budget(20)
    budget.add("fox", 10)

    assert budget.verdict("fox") is GO


def test_free_tasks_go_on_below_the_limit() -> None:
    """Some models reserve nothing."""
    budget = Budget(5)
    budget.add("fox", 0)

    assert budget.verdict("fox") is GO


def test_a_submit_that_made_nothing_costs_nothing() -> None:
    """It no longer counts as under way."""
    budget = begun(Budget(100), "fox")
    budget.nothing_made("fox")

    assert budget.verdict("owl") is GO
    assert budget.reported == 0


def test_silence_ends_the_spending() -> None:
    """Without reports no limit can be kept; what may have been bought counts as the largest of its model."""
    budget = Budget(100)
    budget.add("fox", 10)
    begun(budget, "fox")
    budget.silence("fox")

    assert budget.verdict("fox") is STOP
    assert "does not say" in budget.reason
    assert budget.reported == 20


@given(st.floats(0, 1000), st.lists(st.tuples(st.sampled_from(["fox", "owl"]), st.integers(0, 3))))
def test_equal_costs_never_pass_the_limit(limit: float, steps: list[tuple[str, int]]) -> None:
    """Where every task of a model reserves the same, only the first of each can pass it."""
    costs, budget, open_, first = {"fox": 7.0, "owl": 30.0}, Budget(limit), [], 0.0
    seen: set[str] = set()
    for model, ends in steps:
        if budget.verdict(model) is GO:
            budget.begin(model)
            open_.append(model)
            first += 0.0 if model in seen else costs[model]
            seen.add(model)
        for _ in range(min(ends, len(open_))):
            budget.report(open_[0], costs[open_.pop(0)])
    assert budget.reported + sum(costs[model] for model in open_) <= limit + first
