"""Reads the API's rate limit from the log of a batch's attempts; sends nothing, guesses nothing."""

from bulk.measure.judgement import Measurement, measure
from bulk.measure.words import measurement_json, measurement_lines

__all__ = ["Measurement", "measure", "measurement_json", "measurement_lines"]
