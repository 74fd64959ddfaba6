/** The folder of a quarantine: a sealed file for each id, the reviewers' releases beside them, and the secret under which ids are made. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs';
import { readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { isDigest } from '../../core/encoding/members.ts';
import type { QuarantineLabel } from '../../core/quarantine/item.ts';
import { writeFileAtomic, writeFilesAtomic } from './atomic-file.ts';
import { readSealedLabel } from './quarantine-seal.ts';

/** One file, as it is known without reading it whole. */
export interface KeptFile {
  readonly id: string;
  /** Undefined where the file is damaged. */
  readonly label: QuarantineLabel | undefined;
  /** Of the file. */
  readonly octets: number;
  /** Seconds: when it was kept. */
  readonly time: number;
}

/** `released`: a reviewer's word that waits for its request; `passed`: one whose request went on. */
export type WordState = 'released' | 'passed';

const SECRET_BYTES = 32;
/** A label with the longest path, IDs and lists, in base64url. */
const BEGINNING_BYTES = 131_072;

export class QuarantineFiles {
  private readonly directory: string;
  private isTidy = false;
  /** Under which ids are made. */
  readonly secret: Buffer;

  /** Makes the folder where there is none. Throws on I/O. */
  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.secret = this.readSecret();
  }

  private readSecret(): Buffer {
    const file = this.at('secret');
    try {
      const secret = readFileSync(file);
      if (secret.length !== SECRET_BYTES)
        throw new Error(`${file} is damaged: remove it, and ids begin anew`);
      return secret;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    const secret = randomBytes(SECRET_BYTES);
    writeFilesAtomic([{ file, content: secret }]);
    return secret;
  }

  /** What is kept. A file of another name is none of ours. */
  readKept(): readonly KeptFile[] {
    return this.idsWith('.jwe').map((id) => this.look(id));
  }

  /** Releases by id: text, and whether it was used. */
  readWords(state: WordState): ReadonlyMap<string, string> {
    return new Map(
      this.idsWith(`.${state}`).map((id) => [id, readFileSync(this.at(`${id}.${state}`), 'utf8')]),
    );
  }

  private idsWith(ending: string): readonly string[] {
    return readdirSync(this.directory)
      .filter((name) => name.endsWith(ending))
      .map((name) => name.slice(0, -ending.length))
      .filter(isDigest);
  }

  private look(id: string): KeptFile {
    const file = this.at(`${id}.jwe`);
    const { size, mtimeMs } = statSync(file);
    const beginning = Buffer.alloc(Math.min(size, BEGINNING_BYTES));
    const fd = openSync(file, 'r');
    try {
      readSync(fd, beginning, 0, beginning.length, 0);
    } finally {
      closeSync(fd);
    }
    const label = readSealedLabel(beginning.toString('latin1'));
    const isOwn = label?.id === id;
    return {
      id,
      label: isOwn ? label : undefined,
      octets: size,
      time: isOwn ? label.time : Math.floor(mtimeMs / 1000),
    };
  }

  /** On disk when it resolves, whole or not at all. Off the event loop: bodies are large. */
  async write(id: string, text: string): Promise<void> {
    this.removeLeftovers();
    await writeFileAtomic(this.at(`${id}.jwe`), text);
    this.sync();
  }

  /** Of a process that was killed while it wrote; at the first write, since whoever only looks may not be the only one here. */
  private removeLeftovers(): void {
    if (this.isTidy) return;
    for (const name of readdirSync(this.directory)) if (name.endsWith('.tmp')) rmSync(this.at(name));
    this.isTidy = true;
  }

  read(id: string): Promise<string> {
    return readFile(this.at(`${id}.jwe`), 'latin1');
  }

  writeWord(id: string, text: string): void {
    writeFilesAtomic([{ file: this.at(`${id}.released`), content: text }]);
    this.sync();
  }

  async markPassed(id: string): Promise<void> {
    await rename(this.at(`${id}.released`), this.at(`${id}.passed`));
    this.sync();
  }

  /** All that there is of it; what was never there is gone too. */
  async remove(id: string): Promise<void> {
    // The release first: without its body it would be good for nothing, and must not outlive it.
    for (const ending of ['released', 'passed', 'jwe']) await rm(this.at(`${id}.${ending}`), { force: true });
    this.sync();
  }

  private sync(): void {
    const fd = openSync(this.directory, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  private at(name: string): string {
    return path.join(this.directory, name);
  }
}
