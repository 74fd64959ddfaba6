/** Programs of other people that these tests run. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { freePort } from '../testkit/free-port.ts';

const onPath = (...names: string[]): string | undefined =>
  (process.env.PATH ?? '')
    .split(path.delimiter)
    .flatMap((folder) => names.map((name) => path.join(folder, name)))
    .find((file) => existsSync(file));

const wanted = (file: string | undefined, variable: string, how: string): string => {
  if (file === undefined) throw new Error(`not found: name it in ${variable}, or ${how}`);
  return file;
};

const promtool = (): string =>
  wanted(process.env.HOPGATE_PROMTOOL ?? onPath('promtool'), 'HOPGATE_PROMTOOL', 'install prometheus');

/** What `promtool check metrics` has to say of a text; empty when nothing. */
export const checkMetrics = (text: string): string => {
  const { status, stdout, stderr, error } = spawnSync(promtool(), ['check', 'metrics'], {
    input: text,
    encoding: 'utf8',
  });
  if (error !== undefined) throw error;
  return status === 0 ? `${stdout}${stderr}` : `${stdout}${stderr}\nexit ${status}`;
};

/** What `promtool check rules` says of a file of rules. */
export const checkRules = (file: string): string => {
  const { stdout, stderr, error } = spawnSync(promtool(), ['check', 'rules', file], { encoding: 'utf8' });
  if (error !== undefined) throw error;
  return `${stdout}${stderr}`;
};

/** An OpenTelemetry Collector that takes OTLP over HTTP and appends what it took to a file, a line an export. */
export class Collector {
  readonly endpoint: string;
  private readonly file: string;
  private readonly end: () => Promise<void>;

  private constructor(endpoint: string, file: string, end: () => Promise<void>) {
    this.endpoint = endpoint;
    this.file = file;
    this.end = end;
  }

  static async start(directory: string): Promise<Collector> {
    const program = wanted(
      process.env.HOPGATE_OTELCOL ?? onPath('otelcol-contrib', 'otelcol'),
      'HOPGATE_OTELCOL',
      'build test/telemetry/collector',
    );
    const port = await freePort();
    const file = path.join(directory, 'told.jsonl');
    const config = path.join(directory, 'collector.yaml');
    const pipeline = '{receivers: [otlp], exporters: [file]}';
    writeFileSync(
      config,
      [
        `receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:${port}"}}}}`,
        `exporters: {file: {path: ${JSON.stringify(file)}, flush_interval: 100ms}}`,
        `service: {pipelines: {traces: ${pipeline}, logs: ${pipeline}}}`,
      ].join('\n'),
    );
    const child = spawn(program, ['--config', `file:${config}`], { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`the collector has ended: ${said}`)));
      child.stderr.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes('Everything is ready')) resolve();
      });
    });
    return new Collector(`http://127.0.0.1:${port}`, file, async () => {
      child.kill('SIGTERM');
      await ended;
    });
  }

  /** The exports so far, each as OTLP's JSON. */
  get told(): readonly Record<string, unknown>[] {
    if (!existsSync(this.file)) return [];
    return readFileSync(this.file, 'utf8')
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  stop(): Promise<void> {
    return this.end();
  }
}
