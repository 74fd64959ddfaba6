/** Progress on a terminal as one line that is drawn anew; elsewhere as a line for each fifth. */
const WIDTH = 40;
const REDRAW_MS = 50;

export class ProgressBar {
  private readonly label: string;
  private readonly out: NodeJS.WriteStream;
  private drawnAt = 0;
  private said = 0;

  constructor(label: string, out: NodeJS.WriteStream) {
    this.label = label;
    this.out = out;
  }

  show(done: number, of: number): void {
    if (this.out.isTTY) this.draw(done, of);
    else this.say(done, of);
  }

  private draw(done: number, of: number): void {
    const now = performance.now();
    if (done < of && now - this.drawnAt < REDRAW_MS) return;
    this.drawnAt = now;
    const full = Math.round((WIDTH * Math.min(done, of)) / of);
    const bar = `${'█'.repeat(full)}${'░'.repeat(WIDTH - full)}`;
    this.out.write(`\r\u001b[K${bar} ${done}/${of} ${this.label}${done >= of ? '\n' : ''}`);
  }

  private say(done: number, of: number): void {
    const fifth = Math.floor((5 * done) / of);
    if (fifth <= this.said) return;
    this.said = fifth;
    this.out.write(`${done}/${of} ${this.label}\n`);
  }
}
