"""The existing service behind JSON lines on stdin and stdout, for the live tests here: one process, any state directory.

A line {"directory", "op", "user_id", "policy"?, "request"?, "seed"?} makes one call there and is answered by the call with
the service's answer, as in the golden files. A line {"seed"} alone starts the drawing of calls; {"draw": user_id} draws one;
{"check": directory} reads each state file as the service would and answers how many. {"script": true} draws a script of an
LLM proxy's replies; {"generate": request, "url"} has the service ask the proxy there.
"""
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fixtures"))
from llm_draws import DrawScript  # noqa: E402
from reference import Draw, call, generate, service, use  # noqa: E402


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


def answer(line, draw, scripts):
    if "script" in line:
        return scripts.draw()
    if "generate" in line:
        return generate(line["generate"], line["url"])
    if "draw" in line:
        return draw.any(line["draw"], line["resets"])
    if "check" in line:
        return check(line["check"])
    use(line.pop("directory"))
    return call(**line)


def main():
    seed = json.loads(sys.stdin.readline())["seed"]
    draw, scripts = Draw(seed), DrawScript(seed)
    print("{}", flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), draw, scripts)), flush=True)


main()
