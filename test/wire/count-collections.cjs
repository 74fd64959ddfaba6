// Loaded into a sidecar that is measured: the number of its full collections so far, in the file that COLLECTIONS_FILE names.
const { writeFileSync } = require('node:fs');
const { constants, PerformanceObserver } = require('node:perf_hooks');

let count = 0;
writeFileSync(process.env.COLLECTIONS_FILE, '0');
new PerformanceObserver((list) => {
  const full = list.getEntries().filter(({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR);
  if (full.length === 0) return;
  count += full.length;
  writeFileSync(process.env.COLLECTIONS_FILE, String(count));
}).observe({ entryTypes: ['gc'] });
