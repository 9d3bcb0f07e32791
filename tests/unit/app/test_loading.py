"""Loops files: plain Python that holds Loops, lists of them, or generators."""

import subprocess
import sys
from textwrap import dedent

import pytest

from rekindle.app.loading import load_loops, matching, split_target
from rekindle.errors import DeclarationError, RekindleError, SourceError, UnknownName

HEAD = """
import rekindle as rk
from sklearn.linear_model import LogisticRegression

def a_loop(name, **more):
    source = rk.Parquet(f"{name}.parquet", time="t", label="y")
    return rk.Loop(name, source, rk.Estimator(LogisticRegression()), **more)
"""


@pytest.fixture
def loops_file(tmp_path):
    """Writes a loops file and gives its path; its folder leaves the path of imports afterwards."""
    before, modules = list(sys.path), set(sys.modules)

    def make(body, head=HEAD):
        (tmp_path / "loops.py").write_text(head + dedent(body))
        return tmp_path / "loops.py"

    yield make
    sys.path[:] = before
    for name in set(sys.modules) - modules:
        if name.startswith(("rekindle_loops_", "beside")):
            del sys.modules[name]


def names(path):
    return [loop.name for loop in load_loops(path).loops]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("churn = a_loop('churn')", ["churn"]),
        ("b = a_loop('b')\na = a_loop('a')", ["b", "a"]),
        ("loops = [a_loop('a'), a_loop('b')]", ["a", "b"]),
        ("loops = (a_loop('a'), [a_loop('b'), [a_loop('c')]])", ["a", "b", "c"]),
        ("loops = (a_loop(n) for n in 'abc')", ["a", "b", "c"]),
        ("def fleet():\n    for n in 'abc':\n        yield a_loop(n)", ["a", "b", "c"]),
        ("def fleet():\n    yield [a_loop('a'), a_loop('b')]", ["a", "b"]),
        ("churn = a_loop('churn')\nalso = churn\nloops = [churn]", ["churn"]),
        ("def fleet():\n    yield a_loop('a')\nloops = list(fleet())", ["a"]),
        ("a = a_loop('a')\ndef _fleet():\n    yield a_loop('b')", ["a"]),
        ("a = a_loop('a')\ndef fleet(size):\n    yield a_loop('b')", ["a"]),
        ("a = a_loop('a')\nnumbers = [1, 2]\ntable = {'b': 5}\ntext = 'loop'", ["a"]),
    ],
)
def test_loops_are_found_wherever_they_are(loops_file, body, found):
    assert names(loops_file(body)) == found


def test_a_fleet_of_a_thousand(loops_file):
    fleet = """
        price = rk.Price(per_error=0.35, per_retrain=4.0)
        def fleet():
            for k in range(1000):
                yield a_loop(f"model-{k:04}", policy=rk.SkiRental(price), notify=[rk.env("FLEET_URL")])
    """
    loops = load_loops(loops_file(fleet)).loops
    assert len({loop.name for loop in loops}) == 1000
    assert loops[0].policy.price is loops[999].policy.price


def test_two_different_loops_of_one_name_are_refused(loops_file):
    with pytest.raises(DeclarationError, match=r"name='a'.*two loops of .*loops.py bear it"):
        load_loops(loops_file("a = a_loop('a')\nb = a_loop('a', every='7d')"))


def test_no_loop_at_all(loops_file):
    with pytest.raises(DeclarationError, match="holds no Loop; declare one"):
        load_loops(loops_file("x = 3"))


@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        ("x = (\n", 1, "SyntaxError"),
        ("\n\n1 / 0\n", 3, "ZeroDivisionError"),
        ("\nimport nosuchmodule\n", 2, "ModuleNotFoundError: No module named 'nosuchmodule'"),
        ("\nimport sys\nsys.exit(3)\n", 3, "SystemExit"),
        ("def fleet():\n    yield 1 / 0\n", 2, "ZeroDivisionError"),
        ("loops = (1 / k for k in range(2))\n", 1, "ZeroDivisionError"),
        ("def f():\n    return {}['a']\n\nf()\n", 2, "KeyError"),
        ("\nopen('/no/such/file')\n", 2, "FileNotFoundError"),
    ],
)
def test_what_goes_wrong_is_told_with_file_and_line(loops_file, body, line, said):
    path = loops_file(body, head="")
    with pytest.raises(DeclarationError) as caught:
        load_loops(path)
    assert f"{path}:{line}'" in str(caught.value)
    assert said in str(caught.value)


def test_a_wrong_declaration_is_told_with_its_line(loops_file):
    path = loops_file("\n\nchurn = a_loop('churn', evry='1d')\n")
    with pytest.raises(DeclarationError, match="Did you mean 'every'") as caught:
        load_loops(path)
    assert caught.value.field == "evry"
    assert f"({path}:7)" in str(caught.value), "the line of the file's own code where it happened"


def test_an_error_in_a_file_beside_it_is_told_with_that_file(loops_file):
    path = loops_file("import beside_broken\n")
    (path.parent / "beside_broken.py").write_text("a = 1\nx = = 3\n")
    with pytest.raises(DeclarationError, match=r"beside_broken\.py:2"):
        load_loops(path)


def test_what_lies_beside_it_can_be_imported_also_later(loops_file):
    """A loss or a pipeline step may import when it is called, and the training child imports it again."""
    path = loops_file(
        """
        import beside_first
        def loss(label, predicted):
            import beside_later
            return beside_later.VALUE
        a = a_loop("a", loss=loss)
        """
    )
    (path.parent / "beside_first.py").write_text("")
    (path.parent / "beside_later.py").write_text("VALUE = 7\n")
    (loop,) = load_loops(path).loops
    assert loop.loss(None, None) == 7
    assert sys.path.count(str(path.parent)) == 1
    load_loops(path)
    assert sys.path.count(str(path.parent)) == 1


def test_loading_again_sees_what_was_edited(loops_file):
    first = load_loops(loops_file("a = a_loop('a')"))
    second = load_loops(loops_file("b = a_loop('b')"))
    assert [loop.name for loop in (*first.loops, *second.loops)] == ["a", "b"]
    assert first.text != second.text
    assert first.path == second.path


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(SourceError, match="rekindle init NAME"):
        load_loops(tmp_path / "nowhere.py")
    with pytest.raises(SourceError, match="cannot be read"):
        load_loops(tmp_path)
    (tmp_path / "loops.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="cannot be read"):
        load_loops(tmp_path / "loops.py")


def git(folder, *words):
    subprocess.run(["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True,
                   capture_output=True)  # fmt: skip


def test_commit_and_dirty_flag(loops_file):
    path = loops_file("a = a_loop('a')")
    found = load_loops(path)
    assert (found.git_commit, found.git_dirty) == (None, None)
    git(path.parent, "init", "-q")
    git(path.parent, "add", "loops.py")
    git(path.parent, "commit", "-qm", "one")
    found = load_loops(path)
    assert len(found.git_commit) == 40
    assert found.git_dirty is False
    (path.parent / "other.txt").write_text("not its business")
    assert load_loops(path).git_dirty is False
    path.write_text(path.read_text() + "\n# edited\n")
    assert load_loops(path).git_dirty is True


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("loops.py", ("loops.py", None)),
        ("loops.py:churn", ("loops.py", "churn")),
        ("loops.py:churn-*", ("loops.py", "churn-*")),
        ("a/b.py:x", ("a/b.py", "x")),
        (r"C:\models\loops.py", (r"C:\models\loops.py", None)),
        (r"C:\models\loops.py:churn", (r"C:\models\loops.py", "churn")),
        ("churn", ("churn", None)),
        ("team:churn", ("team:churn", None)),
    ],
)
def test_targets(target, parts):
    assert split_target(target) == parts


def test_globs():
    known = ["churn-de", "churn-fr", "fraud"]
    assert matching(reversed(known), "churn-*") == ["churn-de", "churn-fr"]
    assert matching(known, "fraud") == ["fraud"]
    assert matching(known, "*") == known
    assert matching(known, "churn-[d]?") == ["churn-de"]
    with pytest.raises(UnknownName, match="Did you mean 'fraud'"):
        matching(known, "fruad")
    with pytest.raises(RekindleError):
        matching([], "*")
