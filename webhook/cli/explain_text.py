"""An explanation as people read it: the first line is the answer, the tables below say why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, Final

_STATES: Final = {"up-to-date": "up to date", "out-of-date": "out of date", "stuck": "stuck", "bare": "bare"}
_MOST_PODS: Final = 20
_MOST_UPSTREAMS: Final = 10


def as_text(found: dict[str, Any]) -> str:
    """Write an explanation, each line ended; a manifest's texts steer no terminal."""
    lines = [_answer(found), *_points("problems", found["problems"] if len(found["problems"]) > 1 else ())]
    if found["routes"] is not None:
        behind = found["carries"] is not None and found["carries"]["state"] != "up-to-date"
        lines += [*_routes(found["routes"], behind=behind), *_endpoints(found["discovery"])]
        lines += _table("names captured", list(_captures(found["captures"]["names"])))
        lines += _table("names not captured", _left_out(found["captures"]["left"]))
        lines += _table("no upstream", _left_out(found["leftOut"]))
        port, why = found["ingress"]["port"], found["ingress"]["why"]
        lines += ["", f"ingress: {f'to port {port}' if port else 'none'}: {why}"]
    lines += _table("pods", list(_pods(found["pods"] or [])))
    lines += [*_points("warnings", found["warnings"]), *_points("notes", found["notes"])]
    return "".join(f"{_printable(line)}\n" for line in lines)


def _answer(found: dict[str, Any]) -> str:
    subject = f"{found['kind']} {found['namespace']}/{found['name']}"
    pods = found["pods"]
    if found["kind"] == "Pod" and pods:
        return f"{subject}: {_of_pod(pods[0])}"
    match found["answer"]:
        case "injected":
            said = f"gets a sidecar: {found['why']}"
        case "proxyless":
            said = f"gets no sidecar: {found['why']}"
        case "already-injected":
            said = _of_pod(found["carries"])
        case "refused":
            more = len(found["problems"]) - 1
            said = f"{found['why']}{f' (and {more} more)' if more else ''}"
        case _:
            said = f"gets no sidecar ({found['code']}): {found['why']}"
    return f"{subject}: {said}{_counted(pods)}"


def _of_pod(pod: dict[str, Any]) -> str:
    if pod["state"] == "bare":
        return f"has no sidecar: {pod['why']}"
    what = "what its gRPC libraries need" if pod["mode"] == "proxyless" else "its sidecar"
    return f"has {what}, {_STATES[pod['state']]}{_difference(pod)}"


def _counted(pods: Sequence[dict[str, Any]] | None) -> str:
    if pods is None:
        return ""
    if not pods:
        return "; it has no pods now"
    states = Counter(pod["state"] for pod in pods)
    each = ", ".join(f"{states[key]} {_STATES[key]}" for key in _STATES if states[key])
    return f"; {len(pods)} pod{'' if len(pods) == 1 else 's'}: {each}"


def _routes(routes: dict[str, Any], *, behind: bool) -> Iterator[str]:
    yield ""
    yield f"calls to {routes['listener']}{', once it is up to date' if behind else ''}"
    local = routes["localhost"]
    goes = local["upstream"] or "nowhere"
    claimants = f": {', '.join(local['claimants'])}" if local["claimants"] else ""
    paths = [[f"localhost, path /{each['grpcService']}/*", "", *_to(each)] for each in routes["paths"]]
    rest = ["localhost, any other path" if paths else "localhost", "", goes, f"{local['why']}{claimants}"]
    rows = [row for each in routes["authorities"] for row in _authority(each)]
    yield from _aligned([["AUTHORITY", "PORT", "GOES TO", ""], *rows, *paths, rest])


def _authority(each: dict[str, Any]) -> Iterator[list[str]]:
    """Give the rows of one Service."""
    name = _short(each["names"])
    longest = f", at most {each['maxTimeout']}" if each["maxTimeout"] else ""
    policy = f"{each['lbPolicy']}, retry {each['retry']}{longest}{', exported' if each['exported'] else ''}"
    for index, port in enumerate(each["ports"]):
        said = "" if port["declared"] else ", not declared gRPC"
        yield [name if index == 0 else "", str(port["port"]), port["upstream"], policy + said]


def _short(names: Sequence[str]) -> str:
    """Tell names by the shortest with what may follow."""
    name, *longer = names
    for before, after in zip(names, longer, strict=False):
        name += f"[{after.removeprefix(before)}"
    return name + "]" * len(longer)


def _to(target: dict[str, Any]) -> tuple[str, str]:
    if target["upstream"] is None:
        return "nowhere", f"ambiguous, claimed by {' and '.join(target['claimants'])}"
    return target["upstream"], "by annotation of the Service"


def _endpoints(discovery: dict[str, Any]) -> list[str]:
    """Tell where endpoints come from, where that is not what it always was."""
    if discovery["against"]:
        return ["", f"endpoints: by DNS, though {discovery['said']} asks for more: {discovery['against']}"]
    if discovery["mode"] == "dns":
        return []
    return ["", f"endpoints: pushed by evenkeel xds, by DNS where it does not answer: {discovery['said']} says so"]


def _captures(captures: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    """Give a row for each port that the app may dial."""
    for each in captures:
        for index, port in enumerate(each["ports"]):
            goes = f"{port['upstream']}, {'balanced' if port['balanced'] else 'passed through'}"
            yield [*((_short(each["names"]), each["address"]) if index == 0 else ("", "")), str(port["port"]), goes]
        if not each["ports"]:
            yield [_short(each["names"]), each["address"], "", "nobody listens: the Service is gone"]


def _left_out(services: Sequence[dict[str, str]]) -> list[list[str]]:
    return [[each["service"], each["why"]] for each in services]


def _pods(pods: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    for pod in pods[:_MOST_PODS]:
        if pod["state"] == "bare":
            yield [pod["name"], _STATES["bare"], pod["why"]]
        else:
            said = f"version {pod['version'] or '?'}, {_some(pod['upstreams'])}{_also(pod)}"
            said = pod["mode"] if pod["mode"] == "proxyless" else said
            yield [pod["name"], _STATES[pod["state"]], f"{said}{_difference(pod)}"]
    if len(pods) > _MOST_PODS:
        yield [f"and {len(pods) - _MOST_PODS} more", "", ""]


def _difference(pod: dict[str, Any]) -> str:
    if pod["state"] == "stuck":
        return f"; {pod['why']}"
    parts = [f"it lacks {', '.join(pod['added'])}"] if pod["added"] else []
    parts += [f"it still has {', '.join(pod['removed'])}"] if pod["removed"] else []
    if pod["changed"] and not parts:
        parts = [f"other content in {', '.join(pod['changed'])}"]
    return f"; {'; '.join(parts)}" if parts else ""


def _some(upstreams: Sequence[str]) -> str:
    if not upstreams:
        return "no upstream"
    more = f" and {len(upstreams) - _MOST_UPSTREAMS} more" if len(upstreams) > _MOST_UPSTREAMS else ""
    return f"upstreams {', '.join(upstreams[:_MOST_UPSTREAMS])}{more}"


def _also(pod: dict[str, Any]) -> str:
    """Tell what most pods have not."""
    captures = f", captures {', '.join(pod['captures'])}" if pod["captures"] else ""
    return f"{captures}, endpoints pushed" if pod["discovery"] == "xds" else captures


def _points(title: str, texts: Sequence[str]) -> list[str]:
    return ["", title, *(f"  {text}" for text in texts)] if texts else []


def _table(title: str, rows: Sequence[Sequence[str]]) -> list[str]:
    return ["", title, *_aligned(rows)] if rows else []


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
