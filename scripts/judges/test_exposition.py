"""The judge itself on trial: one sound scrape, and each fault it must see."""

import unittest

from exposition import judge

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

TEXT = """\
# HELP jobs_total Jobs done.
# TYPE jobs_total counter
jobs_total{kind="a\\"b\\\\c\\nd"} 3
# HELP heat_celsius Heat.
# TYPE heat_celsius gauge
heat_celsius NaN
# HELP wait_seconds Wait.
# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.5"} 1
wait_seconds_bucket{le="1.0"} 2
wait_seconds_bucket{le="+Inf"} 4
wait_seconds_sum 9.5
wait_seconds_count 4
"""

OPENMETRICS = (
    TEXT.replace("# HELP jobs_total", "# HELP jobs")
    .replace("# TYPE jobs_total", "# TYPE jobs")
    .replace('{le="0.5"} 1', '{le="0.5"} 1 # {trace_id="abc"} 0.25')
    .replace("# HELP wait_seconds", "# UNIT wait_seconds seconds\n# HELP wait_seconds")
    + "# EOF\n"
)


def complaints(body, content_type=TEXT_TYPE):
    return judge(body.encode() if isinstance(body, str) else body, content_type)[1]


class Sound(unittest.TestCase):
    def test_text_is_accepted_and_read_back(self):
        summary, found = judge(TEXT.encode(), TEXT_TYPE)
        self.assertEqual(found, [])
        jobs, heat, wait = summary["families"]
        self.assertEqual((jobs["name"], jobs["type"], jobs["help"]), ("jobs", "counter", "Jobs done."))
        self.assertEqual(jobs["samples"][0]["labels"], {"kind": 'a"b\\c\nd'})
        self.assertEqual(heat["samples"][0]["value"], "NaN")
        self.assertEqual([float(sample["value"]) for sample in wait["samples"]], [1, 2, 4, 9.5, 4])

    def test_openmetrics_is_accepted_with_unit_and_exemplar(self):
        summary, found = judge(OPENMETRICS.encode(), OPENMETRICS_TYPE)
        self.assertEqual(found, [])
        jobs, _, wait = summary["families"]
        self.assertEqual(jobs["samples"][0]["name"], "jobs_total")
        self.assertEqual(wait["unit"], "seconds")
        self.assertEqual(wait["samples"][0]["exemplar"], {"labels": {"trace_id": "abc"}, "value": "0.25"})

    def test_counter_without_total_keeps_the_name_it_was_exposed_with(self):
        summary, found = judge(b"# HELP runs Runs.\n# TYPE runs counter\nruns 2\n", TEXT_TYPE)
        self.assertEqual(found, [])
        self.assertEqual(summary["families"][0]["samples"][0]["name"], "runs")


class Faults(unittest.TestCase):
    def assert_complaint(self, expected, body, content_type=TEXT_TYPE):
        found = complaints(body, content_type)
        self.assertTrue(any(expected in complaint for complaint in found), f"{expected!r} not in {found}")

    def test_duplicate_sample(self):
        line = 'jobs_total{kind="a\\"b\\\\c\\nd"} 3\n'
        self.assert_complaint("2 samples of one series", TEXT.replace(line, line * 2))
        self.assert_complaint("2 samples of one series", OPENMETRICS.replace(line, line * 2), OPENMETRICS_TYPE)

    def test_buckets_that_fall(self):
        self.assert_complaint("the buckets fall", TEXT.replace('le="0.5"} 1', 'le="0.5"} 3'))

    def test_bounds_that_do_not_ascend(self):
        self.assert_complaint("do not ascend", TEXT.replace('le="0.5"', 'le="1.5"'))

    def test_count_that_differs_from_the_last_bucket(self):
        self.assert_complaint("_count is 5", TEXT.replace("_count 4", "_count 5"))

    def test_missing_parts_of_a_histogram(self):
        self.assert_complaint("+Inf bucket is missing", TEXT.replace('wait_seconds_bucket{le="+Inf"} 4\n', ""))
        self.assert_complaint("_sum is missing", TEXT.replace("wait_seconds_sum 9.5\n", ""))
        self.assert_complaint("_count is missing", TEXT.replace("wait_seconds_count 4\n", ""))

    def test_bound_printed_as_an_integer(self):
        self.assert_complaint("not printed as a float", TEXT.replace('le="1.0"', 'le="1"'))

    def test_missing_help_and_type(self):
        self.assert_complaint("heat_celsius: HELP is missing", TEXT.replace("# HELP heat_celsius Heat.\n", ""))
        self.assert_complaint("HELP is missing", OPENMETRICS.replace("# HELP heat_celsius Heat.\n", ""), OPENMETRICS_TYPE)
        self.assert_complaint("heat_celsius: TYPE is missing", TEXT.replace("# TYPE heat_celsius gauge\n", ""))

    def test_negative_counter(self):
        self.assert_complaint("a counter of -3", TEXT.replace('d"} 3', 'd"} -3'))

    def test_family_in_two_pieces(self):
        self.assert_complaint("# TYPE stands 2 times", TEXT + TEXT.split("# HELP heat")[0])

    def test_missing_eof_and_line_feed(self):
        self.assert_complaint("Missing # EOF", OPENMETRICS.replace("# EOF\n", ""), OPENMETRICS_TYPE)
        self.assert_complaint("line feed", TEXT[:-1])

    def test_unescaped_label_value(self):
        self.assert_complaint("ValueError", TEXT.replace('a\\"b', 'a"b'))

    def test_number_spelled_otherwise(self):
        self.assert_complaint("write NaN", TEXT.replace("celsius NaN", "celsius inf"))

    def test_wrong_content_type(self):
        self.assert_complaint("neither", TEXT, "text/html")
        self.assert_complaint("version=1.0.0", OPENMETRICS, "application/openmetrics-text; charset=utf-8")

    def test_bytes_that_are_not_utf_8(self):
        self.assert_complaint("UnicodeDecodeError", b"\xff\xfe\n")


if __name__ == "__main__":
    unittest.main()
