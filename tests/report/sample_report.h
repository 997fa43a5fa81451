#pragma once
/// A made-up run, as large and as untidy as a real one: what the page is judged by.

#include "pipelines/report/report.h"

namespace aha::pipelines {

/// Three seeds of both recipes; transcripts in two languages, one of hostile bytes.
Report SampleReport();

/// The odd cases: one point, no points, a constant, gaps, no transcripts, unknown figures.
Report SparseReport();

}  // namespace aha::pipelines
