/** Up to which commit the world has been told, and who waits for it. */

interface Waiting {
  readonly revision: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class Horizon {
  private told = 0;
  private heardRevision = 0;
  private waiting: Waiting[] = [];

  /** The last commit that was heard of. */
  get heardOf(): number {
    return this.heardRevision;
  }

  heard(revision: number): void {
    this.heardRevision = Math.max(this.heardRevision, revision);
  }

  /** Nothing up to this commit is left to tell. */
  reached(revision: number): void {
    this.told = Math.max(this.told, revision);
    const due = this.waiting.filter((one) => one.revision <= this.told);
    this.waiting = this.waiting.filter((one) => one.revision > this.told);
    for (const { resolve } of due) resolve();
  }

  when(revision: number): Promise<void> {
    if (revision <= this.told) return Promise.resolve();
    return new Promise((resolve, reject) => this.waiting.push({ revision, resolve, reject }));
  }

  /** Who waits has waited in vain. */
  abandon(error: Error): void {
    const all = this.waiting;
    this.waiting = [];
    for (const { reject } of all) reject(error);
  }
}
