"""What the tables of the experiments say is what the runs' lines say."""

import pytest
from definitions import EXPERIMENTS
from run import RESULTS, read_lines
from tables import COLUMNS, HEALTH, health_table, paired, shares_of, shown, student_t, table, values_of


@pytest.mark.parametrize(
    ("t", "degrees", "p"), [(0.0, 4, 1.0), (4.3027, 2, 0.05), (-4.3027, 2, 0.05), (12.706, 1, 0.05), (2.2281, 10, 0.05)]
)
def test_two_sided_p_of_students_t(t, degrees, p):
    """Critical values as every table prints them."""
    assert student_t(t, degrees) == pytest.approx(p, abs=1e-4)


def test_only_seeds_that_both_have_are_compared():
    ours, theirs = {0: 3.0, 1: 5.0, 2: 4.0, 7: 99.0}, {0: 1.0, 1: 2.0, 2: 3.0, 8: 0.0}
    assert paired(ours, theirs).startswith("+2.0 (p = 0.07")  # differences 2, 3, 1: t = 2 / (1 / √3) = 3.46
    assert paired({0: 3.0}, theirs) == ""
    assert paired({0: 2.0, 1: 3.0}, {0: 1.0, 1: 2.0}) == "+1.0", "no spread, no test"


def test_mean_and_spread():
    assert shown([1.0, 2.0, 3.0]) == "2.0 ± 1.0"
    assert shown([1.25]) == "1.2"
    assert shown([]) == ""


def test_scores_by_seed_leave_out_runs_without_them():
    lines = [
        {"variant": "a", "seed": 0, "scores": {"val": {"x": 1.0}, "dev": {"x": 3.0}}},
        {"variant": "a", "seed": 1, "scores": {"val": {}}},
        {"variant": "b", "seed": 0, "scores": {"val": {"x": 2.0}}},
    ]
    assert values_of(lines, "a", "val", "x") == {0: 1.0}
    assert values_of(lines, "a", "dev", "x") == {0: 3.0}


def test_a_table_has_a_row_a_variant_and_compares_with_the_first():
    scores = [("FSR as published", 0, 20.0), ("FSR as published", 1, 22.0), ("P = 256", 0, 21.0), ("P = 256", 1, 24.0)]
    lines = [
        {"variant": variant, "seed": seed, "scores": {"dev": {"student/segmentation": value}}}
        for variant, seed, value in scores
    ]
    _, _, first, second = table("distillation", lines, "dev").splitlines()
    assert first.startswith("| FSR as published | 2 | 21.0 ± 1.4 |")
    assert second.startswith("| P = 256 | 2 | 22.5 ± 2.1 |")
    assert second.endswith("| +1.5 (p = 0.20) to 'FSR as published' |  |  |")


def test_shares_are_of_the_bound_and_of_the_way_from_the_baseline():
    assert shares_of({0: 30.0, 1: 34.0, 5: 99.0}, {0: 20.0, 1: 20.0}, {0: 40.0, 1: 40.0}) == ["80", "60"]
    assert shares_of({0: 30.0}, {}, {0: 40.0}) == ["75", ""]
    assert shares_of({0: 30.0}, {0: 20.0}, {}) == ["", ""]


def test_the_distillation_s_course_is_the_mean_over_seeds_at_steps_that_all_have():
    def run(variant, seed, first):
        values = {"10": first, "50": first / 2, "300": 0.0, str(70 + seed): 9.0}
        health = {step: dict.fromkeys(HEALTH.values(), value) for step, value in values.items()}
        return {"variant": variant, "seed": seed, "distillation": health}

    lines = [run("P = 256", 0, 8.0), run("P = 256", 1, 6.0), {"variant": "colder teacher", "seed": 0}]
    _, head, _, row = health_table("distillation", lines).splitlines()
    assert "at step 10, 50, 300" in head
    assert row.startswith("| P = 256 | 2 | 7.00, 3.50, 0.00 |")
    assert health_table("distillation", lines[2:]) == ""


def test_a_variant_is_compared_with_the_one_it_names():
    scores = {("boundary prior", 0): 20.0, ("boundary prior", 1): 21.0}
    scores |= {("boundary prior, FSR", 0): 21.0, ("boundary prior, FSR", 1): 23.0}
    lines = [
        {"variant": variant, "seed": seed, "scores": {"dev": {"student/segmentation": value}}}
        for (variant, seed), value in scores.items()
    ]
    last = table("ladder_small", lines, "dev").splitlines()[-1]
    assert "| +1.5 (p = 0.20) to 'boundary prior' |" in last


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_committed_results_are_of_variants_and_scores_that_exist(path):
    """Also those that had other names when they were measured."""
    lines = read_lines(path)
    assert lines
    assert {line["variant"] for line in lines} <= set(EXPERIMENTS[path.stem].variants)
    scores = {name for line in lines for split in line["scores"].values() for name in split}
    assert set(COLUMNS.values()) - {"student/segmentation_crf"} <= scores
