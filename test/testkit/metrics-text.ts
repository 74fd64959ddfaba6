/** Reads the Prometheus text format strictly, as `promtool check metrics` would: whatever is malformed or against its conventions throws. */

const NAME = /^[a-z][a-z0-9_]*$/;
const SERIES =
  /^([a-z][a-z0-9_]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*")(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*)\})? (NaN|[+-]Inf|-?[0-9.]+(?:e[+-]?[0-9]+)?)$/;
const SUFFIXES = ['_bucket', '_sum', '_count'];

const familyOf = (name: string, types: ReadonlyMap<string, string>): string => {
  if (types.has(name)) return name;
  const suffix = SUFFIXES.find((one) => name.endsWith(one)) ?? '';
  const base = name.slice(0, name.length - suffix.length);
  if (types.get(base) !== 'histogram') throw new Error(`${name} has no TYPE`);
  return base;
};

/** Values by series as they are written. */
export const readMetrics = (text: string): ReadonlyMap<string, number> => {
  const types = new Map<string, string>();
  const helped = new Set<string>();
  const values = new Map<string, number>();
  let current = '';
  if (!text.endsWith('\n')) throw new Error('no line end behind the last line');
  for (const line of text.slice(0, -1).split('\n')) {
    const [hash, word, name = '', ...rest] = line.split(' ');
    if (hash === '#' && word === 'HELP') {
      if (helped.has(name) || rest.length === 0) throw new Error(`help of ${name}`);
      helped.add(name);
    } else if (hash === '#' && word === 'TYPE') {
      const [type = ''] = rest;
      if (!NAME.test(name) || types.has(name) || !helped.has(name)) throw new Error(line);
      if ((type === 'counter') !== name.endsWith('_total'))
        throw new Error(`${name} is no name of a ${type}`);
      types.set(name, type);
      current = name;
    } else {
      const match = SERIES.exec(line);
      if (match === null) throw new Error(`malformed: ${line}`);
      const [, found = '', labels = '', value = ''] = match;
      if (familyOf(found, types) !== current) throw new Error(`${line} stands below ${current}`);
      const key = labels === '' ? found : `${found}{${labels}}`;
      if (values.has(key)) throw new Error(`${key} occurs twice`);
      values.set(key, Number(value.replace('Inf', 'Infinity')));
    }
  }
  checkBuckets(values);
  return values;
};

/** Buckets only rise, and the last of them is the count. */
const checkBuckets = (values: ReadonlyMap<string, number>): void => {
  let before = { of: '', value: 0 };
  for (const [key, value] of values) {
    const match = /^(\w+)_bucket\{(.*?),?le="([^"]+)"\}$/.exec(key);
    if (match === null) continue;
    const [, name = '', labels = '', bound = ''] = match;
    const of = `${name}{${labels}}`;
    if (of === before.of && value < before.value) throw new Error(`${key} falls`);
    before = { of, value };
    const count = values.get(labels === '' ? `${name}_count` : `${name}_count{${labels}}`);
    if (bound === '+Inf' && value !== count)
      throw new Error(`${of} counts ${count}, and ${value} in its buckets`);
  }
};

/** GET /metrics. */
export const scrape = async (address: string | undefined): Promise<ReadonlyMap<string, number>> => {
  const response = await fetch(`http://${address}/metrics`);
  if (
    response.status !== 200 ||
    response.headers.get('content-type') !== 'text/plain; version=0.0.4; charset=utf-8'
  )
    throw new Error(`${response.status} ${response.headers.get('content-type')}`);
  return readMetrics(await response.text());
};
