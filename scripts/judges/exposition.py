"""Judges one scrape with prometheus_client's parsers, and with checks of what those let pass.

    exposition.py CONTENT_TYPE < BODY

Prints what it read as JSON and exits with 0, or prints a complaint a line on stderr and exits with 1. The families are
named as in OpenMetrics, a counter's without `_total`; values are strings, since JSON has no NaN and no infinity:

    {"format": "openmetrics", "families": [{"name": …, "type": …, "help": …, "unit": …,
      "samples": [{"name": …, "labels": {…}, "value": "1.5", "exemplar": {"labels": {…}, "value": …} or null}]}]}
"""

import json
import math
import re
import sys
from collections import Counter, defaultdict

from prometheus_client import parser as text_parser
from prometheus_client.openmetrics import parser as openmetrics_parser

TEXT = "text/plain"
OPENMETRICS = "application/openmetrics-text"
VERSIONS = {TEXT: "0.0.4", OPENMETRICS: "1.0.0"}


def media_type(content_type):
    """Returns the media type and its parameters: `("text/plain", {"version": "0.0.4"})`."""
    media, *parameters = [part.strip() for part in content_type.split(";")]
    pairs = (parameter.partition("=") for parameter in parameters)
    return media.lower(), {name.lower(): value.strip('"') for name, _, value in pairs}


def content_type_complaints(content_type):
    media, parameters = media_type(content_type)
    if media not in VERSIONS:
        return [f"content type {content_type!r} is neither {TEXT} nor {OPENMETRICS}"]
    complaints = []
    if parameters.get("version") != VERSIONS[media]:
        complaints.append(f"content type {content_type!r} should say version={VERSIONS[media]}")
    if parameters.get("charset", "utf-8").lower() != "utf-8":
        complaints.append(f"content type {content_type!r} should say charset=utf-8")
    return complaints


def parse(text, media):
    """Returns the families, or raises ValueError."""
    parser = openmetrics_parser if media == OPENMETRICS else text_parser
    return list(parser.text_string_to_metric_families(text))


def declared(text, keyword):
    """Counts the names after `# HELP`, `# TYPE` or `# UNIT`."""
    return Counter(re.findall(rf"^# {keyword} (\S+)", text, flags=re.MULTILINE))


def restore_counter_names(families, types):
    """The text parser adds `_total` to the samples of a counter that lacks it; what was exposed is what counts."""
    for family in families:
        if family.type == "counter" and types[family.name] and not types[family.name + "_total"]:
            family.samples = [sample._replace(name=family.name) for sample in family.samples]


def body_complaints(text, media):
    """What the lines themselves show."""
    complaints = []
    if text and not text.endswith("\n"):
        complaints.append("the last line does not end with a line feed")
    if "\r" in text:
        complaints.append("a carriage return stands in the body")
    for keyword in ("HELP", "TYPE", "UNIT"):
        for name, times in declared(text, keyword).items():
            if times > 1:
                complaints.append(f"{name}: # {keyword} stands {times} times")
    for line in text.split("\n"):
        if re.match(r"# TYPE \S+ info$", line) and media == TEXT:
            complaints.append(f"{line!r}: the text format has no such type")
        if line and not line.startswith("#") and re.search(r" [+-]?(inf|nan|NAN|INF|Infinity|infinity)$", line):
            complaints.append(f"{line!r}: write NaN, +Inf or -Inf")
    return complaints


def key(labels):
    return tuple(sorted(labels.items()))


def family_complaints(family):
    complaints = []
    if not family.documentation.strip():
        complaints.append(f"{family.name}: HELP is missing")
    if family.type in ("unknown", "untyped"):
        complaints.append(f"{family.name}: TYPE is missing")
    if family.type == "counter":
        for sample in family.samples:
            if not sample.value >= 0:
                complaints.append(f"{describe(sample)}: a counter of {sample.value}")
    if family.type == "histogram":
        complaints += histogram_complaints(family)
    return complaints


def histogram_complaints(family):
    complaints = []
    buckets = defaultdict(list)
    counts = {}
    sums = {}
    for sample in family.samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        if sample.name.endswith("_bucket"):
            buckets[key(labels)].append(sample)
        elif sample.name.endswith("_count"):
            counts[key(labels)] = sample.value
        elif sample.name.endswith("_sum"):
            sums[key(labels)] = sample.value
    for series in sorted(set(counts) | set(sums) | set(buckets)):
        where = f"{family.name}{dict(series)}"
        if series not in counts:
            complaints.append(f"{where}: _count is missing")
        if series not in sums:
            complaints.append(f"{where}: _sum is missing")
        elif math.isnan(sums[series]):
            complaints.append(f"{where}: _sum is NaN")
        complaints += bucket_complaints(where, buckets.get(series, []), counts.get(series))
    return complaints


def bucket_complaints(where, buckets, count):
    complaints = []
    bounds = []
    for sample in buckets:
        bound = sample.labels.get("le", "")
        # Prometheus 3 rewrites `1` to `1.0` and 2 does not, so only the latter names the same series in both.
        if bound != "+Inf" and not re.fullmatch(r"-?\d+(\.\d+(e[+-]?\d+)?|e[+-]?\d+)", bound):
            complaints.append(f"{where}: le={bound!r} is not printed as a float")
        try:
            bounds.append(float(bound))
        except ValueError:
            return [*complaints, f"{where}: le={bound!r} is no number"]
    if bounds != sorted(set(bounds)):
        complaints.append(f"{where}: the bounds do not ascend: {bounds}")
    values = [sample.value for sample in buckets]
    if values != sorted(values):
        complaints.append(f"{where}: the buckets fall: {values}")
    if not bounds or bounds[-1] != math.inf:
        complaints.append(f"{where}: the +Inf bucket is missing")
    elif count is not None and values[-1] != count:
        complaints.append(f"{where}: _count is {count}, the +Inf bucket {values[-1]}")
    return complaints


def describe(sample):
    labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
    return f"{sample.name}{{{labels}}}"


SERIES = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?', flags=re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def scrape_complaints(text, families):
    """What only the whole scrape shows."""
    # Counted on the lines, since the strict parser drops the second of two equal samples without a word.
    samples = Counter((name, tuple(sorted(LABEL.findall(labels)))) for name, labels in SERIES.findall(text))
    owners = defaultdict(list)
    for family in families:
        for name in {sample.name for sample in family.samples}:
            owners[name].append(family.name)
    repeated = [f"{name}{dict(labels)}: {times} samples of one series" for (name, labels), times in samples.items() if times > 1]
    torn = [f"{name}: in {len(names)} families or pieces: {names}" for name, names in owners.items() if len(names) > 1]
    return repeated + torn


def judge(body, content_type):
    """Returns the summary and the complaints; without complaints the scrape is sound."""
    complaints = content_type_complaints(content_type)
    media, _ = media_type(content_type)
    if media not in VERSIONS:
        return None, complaints
    try:
        text = body.decode("utf-8")
        families = parse(text, media)
    except ValueError as error:
        return None, [*complaints, f"{type(error).__name__}: {error}"]
    if media == TEXT:
        restore_counter_names(families, declared(text, "TYPE"))
    complaints += body_complaints(text, media)
    for family in families:
        complaints += family_complaints(family)
    complaints += scrape_complaints(text, families)
    return summary(families, media), complaints


def number(value):
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def summary(families, media):
    return {
        "format": "openmetrics" if media == OPENMETRICS else "text",
        "families": [
            {
                "name": family.name,
                "type": family.type,
                "help": family.documentation,
                "unit": family.unit,
                "samples": [
                    {
                        "name": sample.name,
                        "labels": sample.labels,
                        "value": number(sample.value),
                        "exemplar": sample.exemplar
                        and {"labels": sample.exemplar.labels, "value": number(sample.exemplar.value)},
                    }
                    for sample in family.samples
                ],
            }
            for family in families
        ],
    }


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    result, complaints = judge(sys.stdin.buffer.read(), sys.argv[1])
    if complaints:
        sys.exit("\n".join(complaints))
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
