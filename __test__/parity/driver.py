"""The existing service behind JSON lines on stdin and stdout, for exchange-live.test.mjs: one process, any state directory.

A line {"directory", "op", "user_id", "policy"?, "request"?, "seed"?} makes one call there and is answered by the call with
the service's answer, as in the golden files. A line {"seed"} alone starts the drawing of calls; {"draw": user_id} draws one;
{"check": directory} reads each state file as the service would and answers how many.
"""
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fixtures"))
from reference import Draw, call, service, use  # noqa: E402


def check(directory):
    """Every state file loads, its numbers are floats and its counts ints, so that the service writes them on as its own."""
    count = 0
    for path in Path(directory).glob("*.json"):
        if path.name.startswith("."):
            continue
        d = len(json.loads(path.read_text())["b"])
        A, b, meta = service._load(path, d)
        assert A.shape == (d, d) and b.shape == (d,), path.name
        for key in ("pulls", "explore_count", "reward_count"):
            assert type(meta.get(key, 0)) is int, (path.name, key, meta[key])
        assert type(meta.get("cumulative_reward", 0.0)) is float, (path.name, meta["cumulative_reward"])
        assert isinstance(meta.get("last_updated", ""), str), (path.name, meta["last_updated"])
        count += 1
    return count


def answer(line, draw):
    if "draw" in line:
        return draw.any(line["draw"], line["resets"])
    if "check" in line:
        return check(line["check"])
    use(line.pop("directory"))
    return call(**line)


def main():
    draw = Draw(json.loads(sys.stdin.readline())["seed"])
    print("{}", flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), draw)), flush=True)


main()
